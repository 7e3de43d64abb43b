"""Transforms and views: pure functions of (seed, index, view), replayed exactly; and the numbers that they draw."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from distill_tune.config.sections import AugmentationConfig
from distill_tune.data import Dataset
from distill_tune.distillation.augmentation._base import Draw
from distill_tune.distillation.views import Views, check_augmentation
from distill_tune.errors import ConfigError
from distill_tune.registry import AUGMENTATIONS

AMOUNTS: dict[str, Any] = {"cutout": 3, "flip": 0.5, "mixup": 0.4, "shift": 2}
"""One for each transform; a new one is added here."""
NUM_IMAGES, SIDE = 40, 9
MEAN = (7.0, 100.0)


def images() -> Tensor:
    return torch.randint(256, (NUM_IMAGES, 2, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def rows_of_a_table() -> Tensor:
    return torch.randn(NUM_IMAGES, 3, generator=torch.Generator().manual_seed(0))


def views(inputs: Tensor | None = None, seed: int = 5, **amounts: Any) -> Views:
    return Views(AugmentationConfig(**amounts), images() if inputs is None else inputs, MEAN, seed)


def everything() -> Tensor:
    return torch.arange(NUM_IMAGES)


COMBINATIONS = [{name: amount} for name, amount in AMOUNTS.items()] + [AMOUNTS]
ALL_VIEWS = {str(amounts): views(**amounts) for amounts in COMBINATIONS}
combination = pytest.mark.parametrize("amounts", COMBINATIONS, ids=lambda amounts: "+".join(amounts))
single = pytest.mark.parametrize("name", AUGMENTATIONS.names)


def test_every_transform_is_tested() -> None:
    assert list(AMOUNTS) == AUGMENTATIONS.names


@combination
@given(order=st.permutations(range(NUM_IMAGES)), count=st.integers(1, NUM_IMAGES), view=st.integers(0, 9))
def test_a_view_is_the_same_in_every_order_and_subset(
    amounts: dict[str, Any], order: list[int], count: int, view: int
) -> None:
    some = torch.tensor(order[:count])
    whole, part = ALL_VIEWS[str(amounts)].take(everything(), view), ALL_VIEWS[str(amounts)].take(some, view)
    assert torch.equal(part.inputs, whole.inputs[some])
    if whole.partner is not None and whole.share is not None:
        assert torch.equal(part.partner, whole.partner[some])  # type: ignore[arg-type]
        assert torch.equal(part.share, whole.share[some])  # type: ignore[arg-type]


def digest() -> str:
    """Of every combination in several views."""
    whole = hashlib.sha256()
    for amounts in COMBINATIONS:
        for view in (0, 1, 77):
            whole.update(views(**amounts).take(everything(), view).inputs.numpy().tobytes())
    return whole.hexdigest()


def test_a_view_is_the_same_in_another_process_with_other_threads() -> None:
    code = "import torch; torch.set_num_threads(2); import test_augmentation; print(test_augmentation.digest())"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest()


@combination
def test_views_and_seeds_differ(amounts: dict[str, Any]) -> None:
    first = views(**amounts).take(everything(), 0).inputs
    assert not torch.equal(first, views(**amounts).take(everything(), 1).inputs)
    assert not torch.equal(first, views(seed=6, **amounts).take(everything(), 0).inputs)


@combination
def test_the_data_themselves_are_left_alone(amounts: dict[str, Any]) -> None:
    data = images()
    views(data, **amounts).take(everything(), 0).inputs.zero_()
    assert torch.equal(data, images())


@single
@pytest.mark.parametrize("view", [0, 3])
def test_an_amount_of_0_changes_nothing(name: str, view: int) -> None:
    taken = views(**{name: 0}).take(everything(), view)
    assert torch.equal(taken.inputs, images())
    assert taken.partner is None
    transform = AUGMENTATIONS.get(name)(amount=0)
    if not transform.mixes:
        assert torch.equal(transform.apply(images(), Draw(0, view, everything(), torch.tensor(MEAN))), images())


@single
def test_a_transform_keeps_shape_and_type_and_mixing_makes_floats(name: str) -> None:
    taken = views(**{name: AMOUNTS[name]}).take(everything(), 0).inputs
    assert taken.shape == images().shape
    assert taken.dtype == (torch.float32 if AUGMENTATIONS.get(name).mixes else torch.uint8)
    assert taken.min() >= 0
    assert taken.max() <= 255


def test_flip_mirrors_about_its_share_of_the_images_and_leaves_the_rest() -> None:
    many = images().repeat(50, 1, 1, 1)
    taken = Views(AugmentationConfig(flip=0.3), many, MEAN, 0).take(torch.arange(len(many)), 0).inputs
    mirrored = (taken == many.flip(-1)).flatten(1).all(1)
    assert ((taken == many).flatten(1).all(1) ^ mirrored).all()
    assert stats.binomtest(int(mirrored.sum()), len(many), 0.3).pvalue > 1e-3


def test_shift_moves_by_every_offset_up_to_its_amount_and_brings_zeros_in() -> None:
    dot = torch.zeros(4000, 1, SIDE, SIDE, dtype=torch.uint8)
    dot[:, 0, 4, 4] = 255
    taken = Views(AugmentationConfig(shift=2), dot, (0.0,), 0).take(torch.arange(len(dot)), 0).inputs
    _, _, rows, columns = taken.nonzero(as_tuple=True)
    assert len(rows) == len(dot)  # the dot is still inside
    counts = np.bincount((rows - 2) * 5 + (columns - 2), minlength=25)
    assert stats.chisquare(counts).pvalue > 1e-3
    full = torch.full((50, 1, SIDE, SIDE), 9, dtype=torch.uint8)
    moved = Views(AugmentationConfig(shift=2), full, (0.0,), 0).take(torch.arange(50), 0).inputs
    assert set(moved.unique().tolist()) == {0, 9}
    assert moved.flatten(1).count_nonzero(1).min() == (SIDE - 2) ** 2


def test_cutout_covers_a_square_with_the_mean_of_each_channel() -> None:
    white = torch.full((500, 2, SIDE, SIDE), 255, dtype=torch.uint8)
    taken = Views(AugmentationConfig(cutout=3), white, MEAN, 0).take(torch.arange(500), 0).inputs
    assert set(taken[:, 0].unique().tolist()) == {7, 255}
    assert set(taken[:, 1].unique().tolist()) == {100, 255}
    covered = (taken[:, 0] == 7).flatten(1).sum(1)
    assert covered.max() == 9  # whole
    assert covered.min() == 4  # with its centre in a corner


@pytest.mark.parametrize("alpha", [0.2, 1.0, 10.0])
def test_mixup_draws_its_shares_from_beta(alpha: float) -> None:
    share = AUGMENTATIONS.get("mixup")(amount=alpha).share(Draw(0, 0, torch.arange(20_000)))
    for point in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        below = float((share < point).float().mean())
        assert below == pytest.approx(stats.beta.cdf(point, alpha, alpha), abs=0.012)  # chance: 0.0035 at most
    assert share.min() >= 0
    assert share.max() <= 1


@pytest.mark.parametrize("inputs", [images(), rows_of_a_table()], ids=["images", "table"])
def test_mixup_blends_a_sample_with_its_partner_by_its_share(inputs: Tensor) -> None:
    taken = views(inputs, mixup=1.0).take(everything(), 2)
    assert taken.partner is not None
    assert taken.share is not None
    share = taken.share.numpy().reshape(-1, *[1] * (inputs.dim() - 1))
    expected = share * inputs.numpy() + (1 - share) * inputs[taken.partner].numpy()
    np.testing.assert_allclose(taken.inputs.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_a_partner_is_shown_as_it_is_in_this_view_itself() -> None:
    mixed = views(mixup=1.0, shift=2).take(everything(), 3)
    assert mixed.partner is not None
    assert mixed.share is not None
    alone = views(shift=2).take(everything(), 3).inputs
    share = mixed.share.view(-1, 1, 1, 1)
    torch.testing.assert_close(mixed.inputs, share * alone + (1 - share) * alone[mixed.partner])


def test_partners_are_drawn_evenly_from_all_samples() -> None:
    few = Views(AugmentationConfig(mixup=1.0), torch.zeros(10, 2), (), 0)
    partners = torch.cat([few.take(torch.arange(10), view).partner for view in range(500)])  # type: ignore[misc]
    assert stats.chisquare(np.bincount(partners.numpy(), minlength=10)).pvalue > 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_numbers_are_uniform(seed: int) -> None:
    numbers = Draw(seed, 3, torch.arange(100_000)).uniform("flip").numpy()
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    assert numbers.max() < 1


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_integers_below_a_count_are_uniform(count: int) -> None:
    numbers = Draw(0, 0, torch.arange(100_000)).below(count, "partner").numpy()
    assert numbers.min() >= 0
    assert len(counts := np.bincount(numbers)) == count
    assert count == 1 or stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    "other",
    [
        Draw(0, 0, torch.arange(50_000)).uniform("other stream"),
        Draw(0, 1, torch.arange(50_000)).uniform("stream"),
        Draw(1, 0, torch.arange(50_000)).uniform("stream"),
        Draw(0, 0, torch.arange(1, 50_001)).uniform("stream"),
        Draw(1, 0, torch.arange(1, 50_001)).uniform("stream"),
    ],
    ids=["stream", "view", "seed", "next sample", "next sample of another seed"],
)
def test_numbers_of_different_keys_are_independent(other: Tensor) -> None:
    one = Draw(0, 0, torch.arange(50_000)).uniform("stream")
    table = np.histogram2d(one.numpy(), other.numpy(), bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS.names if not AUGMENTATIONS.get(name).for_tables])
def test_a_transform_of_images_is_refused_on_a_table_with_those_that_can(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^augmentation.{name}: cannot be used on tables; for tables there are: mixup\.$"
    ):
        check_augmentation(AugmentationConfig(**{name: AMOUNTS[name]}), a_dataset((8,)))
    check_augmentation(AugmentationConfig(**{name: 0}), a_dataset((8,)))
    check_augmentation(AugmentationConfig(**{name: AMOUNTS[name]}), a_dataset((1, 8, 8)))


def a_dataset(shape: tuple[int, ...]) -> Dataset:
    """All but its shape is of no account."""
    return Dataset(Path(), ("a", "b"), shape, (), (), None, "", (), "hidden", {}, 0)
