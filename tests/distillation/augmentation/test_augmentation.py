"""Contract of every transform: a view is a pure function of (seed, index, view) and is replayed exactly."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_views import MEAN, NUM_IMAGES, everything, images, rows_of_a_table, views

from distill_tune.config.sections import AugmentationConfig
from distill_tune.data import Dataset
from distill_tune.distillation.augmentation import Draw
from distill_tune.distillation.views import check_augmentation
from distill_tune.errors import ConfigError
from distill_tune.registry import AUGMENTATIONS


def an_amount(name: str) -> Any:
    """An allowed amount of a transform: at most 3 for a count, otherwise half of the maximum."""
    allowed = AUGMENTATIONS.get(name).model_json_schema()["properties"]["amount"]
    return min(3, allowed["maximum"]) if allowed["type"] == "integer" else allowed["maximum"] / 2


def able(kind: str) -> list[str]:
    return [name for name in AUGMENTATIONS.names if getattr(AUGMENTATIONS.get(name), f"for_{kind}")]


DATA = {"images": images(), "tables": rows_of_a_table()}
AMOUNTS = {name: an_amount(name) for name in AUGMENTATIONS.names}
Case = tuple[str, dict[str, Any]]
GOLDEN = {
    "images-color": "cc1bb1f1",
    "images-crop": "ff67bd73",
    "images-cutmix": "8b6238ed",
    "images-cutout": "4f95c5e9",
    "images-flip": "f6c39215",
    "images-mixup": "93dfae8b",
    "images-rotation": "e5c0b575",
    "images-shift": "c48e7d19",
    "tables-mixup": "c6fb06c7",
    "tables-noise": "1f0a6e85",
    "tables-swap": "58bdaf79",
}
CASES: list[Case] = [(kind, {name: AMOUNTS[name]}) for kind in DATA for name in able(kind)]
CASES += [(kind, {name: AMOUNTS[name] for name in able(kind)}) for kind in DATA]
"""Every transform on each kind of data that it supports, and all transforms of a kind together."""
ALL_VIEWS = {str(case): views(DATA[case[0]], **case[1]) for case in CASES}
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{'+'.join(case[1])}")
single = pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in DATA for name in able(kind)])


def test_every_transform_fits_something() -> None:
    assert {name for kind in DATA for name in able(kind)} == set(AUGMENTATIONS.names)


@every_case
@given(order=st.permutations(range(NUM_IMAGES)), count=st.integers(1, NUM_IMAGES), view=st.integers(0, 9))
def test_a_view_is_the_same_in_every_order_and_subset(case: Case, order: list[int], count: int, view: int) -> None:
    some = torch.tensor(order[:count])
    whole, part = ALL_VIEWS[str(case)].take(everything(), view), ALL_VIEWS[str(case)].take(some, view)
    assert torch.equal(part.inputs, whole.inputs[some])
    if whole.partner is not None and whole.share is not None:
        assert torch.equal(part.partner, whole.partner[some])  # type: ignore[arg-type]
        assert torch.equal(part.share, whole.share[some])  # type: ignore[arg-type]


def digest() -> str:
    """Return the SHA-256 over several views of every case."""
    whole = hashlib.sha256()
    for case in CASES:
        for view in (0, 1, 77):
            whole.update(ALL_VIEWS[str(case)].take(everything(), view).inputs.numpy().tobytes())
    return whole.hexdigest()


def test_a_view_is_the_same_in_another_process_with_other_threads() -> None:
    code = "import torch; torch.set_num_threads(2); import test_augmentation; print(test_augmentation.digest())"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@every_case
def test_a_view_is_the_same_on_a_gpu(case: Case) -> None:
    taken = views(DATA[case[0]].cuda(), **case[1]).take(everything().cuda(), 3)
    assert torch.equal(taken.inputs.cpu(), ALL_VIEWS[str(case)].take(everything(), 3).inputs)


@every_case
def test_views_and_seeds_differ(case: Case) -> None:
    kind, amounts = case
    first = views(DATA[kind], **amounts).take(everything(), 0).inputs
    assert not torch.equal(first, views(DATA[kind], **amounts).take(everything(), 1).inputs)
    assert not torch.equal(first, views(DATA[kind], seed=6, **amounts).take(everything(), 0).inputs)


@every_case
def test_the_data_themselves_are_left_alone(case: Case) -> None:
    data = DATA[case[0]].clone()
    views(data, **case[1]).take(everything(), 0).inputs.zero_()
    assert torch.equal(data, DATA[case[0]])


@single
@pytest.mark.parametrize("view", [0, 3])
def test_an_amount_of_0_changes_nothing(kind: str, name: str, view: int) -> None:
    taken = views(DATA[kind], **{name: 0}).take(everything(), view)
    assert torch.equal(taken.inputs, DATA[kind])
    assert taken.partner is None
    transform = AUGMENTATIONS.get(name)(amount=0)
    if not transform.mixes:
        draw = Draw(0, view, everything(), torch.tensor(MEAN), DATA[kind])
        assert torch.equal(transform.apply(DATA[kind], draw), DATA[kind])


@single
def test_a_transform_keeps_shape_and_range_and_type_unless_it_blends(kind: str, name: str) -> None:
    data = DATA[kind]
    taken = views(data, **{name: AMOUNTS[name]}).take(everything(), 0).inputs
    assert taken.shape == data.shape
    assert taken.dtype == (torch.float32 if name == "mixup" else data.dtype)
    assert taken.isfinite().all()
    if kind == "images":
        assert taken.min() >= 0
        assert taken.max() <= 255


@pytest.mark.parametrize("name", [name for name in able("images") if not AUGMENTATIONS.get(name).mixes])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 12), (1, 1, 1)])
def test_a_transform_takes_images_of_any_shape_and_floats(name: str, shape: tuple[int, ...]) -> None:
    whole = torch.randint(256, (9, *shape), generator=torch.Generator().manual_seed(0))
    transform, draw = AUGMENTATIONS.get(name)(amount=AMOUNTS[name]), Draw(0, 0, torch.arange(9))
    taken = transform.apply(whole.to(torch.uint8), draw)
    floats = transform.apply(whole.float(), draw)
    assert taken.shape == floats.shape == whole.shape
    assert floats.dtype == torch.float32
    if name != "color":  # its mean is rounded for integers
        torch.testing.assert_close(floats, taken.float(), rtol=0, atol=0.51)


@single
def test_a_view_stays_what_it_was_when_a_teacher_labelled_it(kind: str, name: str) -> None:
    """A teacher's cache is keyed by a transform's name and amount: if its results change, its format must be raised."""
    taken = views(DATA[kind], **{name: AMOUNTS[name]}).take(everything(), 5).inputs
    found = hashlib.sha256(taken.contiguous().numpy().tobytes()).hexdigest()[:8]
    assert f"{kind}-{name}" in GOLDEN, f"{Path(__file__).name}: add {found!r}, the digest of a view, to GOLDEN"
    assert found == GOLDEN[f"{kind}-{name}"]


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS.names if not AUGMENTATIONS.get(name).for_tables])
def test_a_transform_of_images_is_refused_on_a_table_with_those_that_can(name: str) -> None:
    there_are = "mixup, noise, swap"
    with pytest.raises(
        ConfigError, match=rf"^augmentation.{name}: cannot be used on tables; for tables there are: {there_are}\.$"
    ):
        check_augmentation(AugmentationConfig(**{name: AMOUNTS[name]}), a_dataset((8,)))
    check_augmentation(AugmentationConfig(**{name: 0}), a_dataset((8,)))
    check_augmentation(AugmentationConfig(**{name: AMOUNTS[name]}), a_dataset((1, 8, 8)))


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS.names if not AUGMENTATIONS.get(name).for_images])
def test_a_transform_of_tables_is_refused_on_images(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^augmentation.{name}: cannot be used on images; for images there are: "):
        check_augmentation(AugmentationConfig(**{name: AMOUNTS[name]}), a_dataset((1, 8, 8)))
    check_augmentation(AugmentationConfig(**{name: AMOUNTS[name]}), a_dataset((8,)))


def a_dataset(shape: tuple[int, ...]) -> Dataset:
    """A dataset of which only the shape matters."""
    return Dataset(Path(), ("a", "b"), shape, (), (), None, "", (), "hidden", {}, 0)
