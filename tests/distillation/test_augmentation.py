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
from distill_tune.distillation.augmentation import Draw
from distill_tune.distillation.views import Views, check_augmentation
from distill_tune.errors import ConfigError
from distill_tune.registry import AUGMENTATIONS

NUM_IMAGES, SIDE = 40, 9
MEAN = (7.0, 100.0)


def images() -> Tensor:
    return torch.randint(256, (NUM_IMAGES, 2, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def rows_of_a_table() -> Tensor:
    return torch.randn(NUM_IMAGES, 3, generator=torch.Generator().manual_seed(0))


def an_amount(name: str) -> Any:
    """Of any transform: three of what is counted, else half of the most that is allowed."""
    allowed = AUGMENTATIONS.get(name).model_json_schema()["properties"]["amount"]
    return min(3, allowed["maximum"]) if allowed["type"] == "integer" else allowed["maximum"] / 2


def able(kind: str) -> list[str]:
    return [name for name in AUGMENTATIONS.names if getattr(AUGMENTATIONS.get(name), f"for_{kind}")]


DATA = {"images": images(), "tables": rows_of_a_table()}
AMOUNTS = {name: an_amount(name) for name in AUGMENTATIONS.names}
Case = tuple[str, dict[str, Any]]


def views(inputs: Tensor | None = None, seed: int = 5, **amounts: Any) -> Views:
    return Views(AugmentationConfig(**amounts), images() if inputs is None else inputs, MEAN, seed)


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


def everything() -> Tensor:
    return torch.arange(NUM_IMAGES)


CASES: list[Case] = [(kind, {name: AMOUNTS[name]}) for kind in DATA for name in able(kind)]
CASES += [(kind, {name: AMOUNTS[name] for name in able(kind)}) for kind in DATA]
"""Every transform on all that it fits, and all of them together."""
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
    """Of every combination in several views."""
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
    if name != "color":  # whose mean is rounded for integers
        torch.testing.assert_close(floats, taken.float(), rtol=0, atol=0.51)


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


def slow_bilinear(image: np.ndarray, row: float, column: float) -> float:
    """One place of one channel, with zeros around it, from the definition."""
    total, (height, width) = 0.0, image.shape
    for r in (int(np.floor(row)), int(np.floor(row)) + 1):
        for c in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= r < height and 0 <= c < width:
                total += image[r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return total


@pytest.mark.parametrize("shape", [(9, 9), (6, 11)])
def test_rotation_is_bilinear_by_an_angle_within_its_amount(shape: tuple[int, int]) -> None:
    """Against the definition, for the one angle of all that fits best: it must fit every pixel."""
    image = torch.nn.functional.interpolate(images()[:1, :1].float(), shape)  # some image of that shape
    transform = AUGMENTATIONS.get("rotation")(amount=60)
    for index in range(4):
        turned = transform.apply(image, Draw(1, 0, torch.tensor([index])))[0, 0].numpy()
        place = int(Draw(1, 0, torch.tensor([index])).below(1024, "rotation"))
        angle = np.radians(60 * (2 * (place + 0.5) / 1024 - 1))
        middle = (np.array(shape) - 1) / 2
        for row, column in np.ndindex(*shape):
            down, right = np.array([row, column]) - middle
            at = np.array([np.cos(angle) * down - np.sin(angle) * right, np.sin(angle) * down + np.cos(angle) * right])
            assert turned[row, column] == pytest.approx(slow_bilinear(image[0, 0].numpy(), *(at + middle)), abs=3)


def test_rotation_by_a_half_turn_at_most_goes_both_ways_evenly() -> None:
    dot = torch.zeros(4000, 1, SIDE, SIDE, dtype=torch.uint8)
    dot[:, 0, 4, 7] = 255  # three to the right of the middle
    taken = Views(AugmentationConfig(rotation=90), dot, (0.0,), 0).take(torch.arange(len(dot)), 0).inputs.float()
    rows, columns = (torch.arange(SIDE) - 4.0).view(1, 1, -1, 1), (torch.arange(SIDE) - 4.0).view(1, 1, 1, -1)
    down, right = ((taken * each).sum((1, 2, 3)) / taken.sum((1, 2, 3)) for each in (rows, columns))
    angles = torch.atan2(down, right) / torch.pi * 180
    assert stats.kstest(angles.numpy(), "uniform", args=(-90, 180)).pvalue > 1e-3
    assert taken.flatten(1).sum(1).min() > 200


def test_crop_shows_a_window_that_is_stretched_over_the_image() -> None:
    """On a ramp, a window has ends that say where it is, and even steps between."""
    ramp = (3 * torch.arange(64.0)).view(1, 1, 1, -1).expand(3000, 1, 64, 64)
    taken = AUGMENTATIONS.get("crop")(amount=0.4).apply(ramp, Draw(0, 0, torch.arange(3000)))[:, 0, 0] / 3
    share = (taken[:, -1] - taken[:, 0]) / 63
    assert stats.kstest(share.numpy(), "uniform", args=(0.4, 0.6)).pvalue > 1e-3
    where = taken[:, 0] / (63 * (1 - share)).clamp(min=1e-6)
    assert stats.kstest(where[share < 0.95].numpy(), "uniform").pvalue > 1e-3
    torch.testing.assert_close(taken.diff(), share.unsqueeze(1).expand(-1, 63), rtol=0, atol=0.01)
    assert torch.equal(AUGMENTATIONS.get("crop")(amount=1).apply(images(), Draw(0, 0, everything())), images())


def test_crop_takes_the_same_share_of_both_sides() -> None:
    rows, columns = torch.meshgrid(torch.arange(50.0), torch.arange(50.0), indexing="ij")
    both = torch.stack([rows, columns]).expand(100, 2, 50, 50)
    taken = AUGMENTATIONS.get("crop")(amount=0.2).apply(both, Draw(0, 0, torch.arange(100)))
    height, width = taken[:, 0, -1, 0] - taken[:, 0, 0, 0], taken[:, 1, 0, -1] - taken[:, 1, 0, 0]
    torch.testing.assert_close(height, width, rtol=0, atol=0.01)
    assert not torch.allclose(taken[:, 0, 0, 0], taken[:, 1, 0, 0])  # but another place


def test_color_is_the_formula_with_two_factors_an_image() -> None:
    """x' is linear in x, so two numbers an image explain every pixel that was not cut off."""
    many = images().repeat(20, 1, 1, 1)
    taken = AUGMENTATIONS.get("color")(amount=0.5).apply(many, Draw(0, 0, torch.arange(len(many))))
    slopes, values = [], []
    for before, after in zip(many.flatten(1).numpy(), taken.flatten(1).numpy(), strict=True):
        inside = (after > 0) & (after < 255)
        slope, value = np.polyfit(before[inside].astype(float), after[inside], 1)
        np.testing.assert_allclose(after[inside], slope * before[inside] + value, atol=0.75)
        slopes.append(slope)
        values.append(slope * before.mean() + value)
    brightness = np.array(values) / many.flatten(1).float().mean(1).numpy()
    contrast = np.array(slopes) / brightness
    for factor in (brightness, contrast):
        assert stats.kstest(factor, "uniform", args=(0.49, 1.02)).pvalue > 1e-3
    assert abs(np.corrcoef(brightness, contrast)[0, 1]) < 0.15


@pytest.mark.parametrize("shape", [(9, 9), (28, 28), (5, 30)])
def test_cutmix_pastes_one_box_of_the_partner_and_shares_by_its_area(shape: tuple[int, int]) -> None:
    number = torch.arange(1, 201).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, *shape).contiguous()
    taken = Views(AugmentationConfig(cutmix=1.0), number, MEAN, 0).take(torch.arange(200), 1)
    assert taken.partner is not None
    assert taken.share is not None
    own = (taken.inputs == number).numpy()
    assert ((taken.inputs == number) | (taken.inputs == number[taken.partner])).all()
    other = taken.partner.numpy() != np.arange(200)
    np.testing.assert_allclose(taken.share.numpy()[other], own[other].mean((1, 2, 3)), atol=1e-6)
    for box in ~own[other][:, 0]:
        covered = np.argwhere(box)
        if len(covered):
            low, high = covered.min(0), covered.max(0) + 1
            assert box[low[0] : high[0], low[1] : high[1]].all()


def test_the_area_of_cutmix_follows_beta_where_the_box_is_whole() -> None:
    """The weight of the paper, found again from boxes that lie inside; Beta(1, 1) is uniform."""
    black, white = torch.zeros(20_000, 1, 64, 64, dtype=torch.uint8), torch.full((20_000, 1, 64, 64), 1)
    draw = Draw(0, 0, torch.arange(20_000))
    mixed, share = AUGMENTATIONS.get("cutmix")(amount=1.0).mix(black, white.to(torch.uint8), draw)
    sides = mixed[:, 0].amax(1).sum(1).float()
    rows = mixed[:, 0].amax(2).sum(1).float()
    edge = mixed[:, 0, 0].amax(1) | mixed[:, 0, -1].amax(1) | mixed[:, 0, :, 0].amax(1) | mixed[:, 0, :, -1].amax(1)
    inside = (edge == 0) & (sides > 0)
    assert torch.equal(sides[inside], rows[inside])
    # a box of side s has its centre in (1 - s)^2 of the places that keep it inside; weigh that away
    part = (sides[inside] / 64).numpy()
    weights = 1 / (1 - part + 1 / 64) ** 2
    small = part < 0.7
    below = np.average(part[small] ** 2 < 0.25, weights=weights[small])
    assert below == pytest.approx(0.25 / 0.49, abs=0.05)
    assert 0.55 < share.mean() < 0.75


def test_mixup_and_cutmix_together_are_one_of_the_two_for_each_sample() -> None:
    many = images().repeat(50, 1, 1, 1)
    index = torch.arange(len(many))
    both, mixup, cutmix = (
        Views(AugmentationConfig(**amounts), many, MEAN, 0).take(index, 4)
        for amounts in ({"mixup": 1.0, "cutmix": 1.0}, {"mixup": 1.0}, {"cutmix": 1.0})
    )
    assert torch.equal(both.partner, mixup.partner)  # type: ignore[arg-type]
    assert torch.equal(both.partner, cutmix.partner)  # type: ignore[arg-type]
    is_blend = (both.inputs == mixup.inputs).flatten(1).all(1) & (both.share == mixup.share)
    is_box = (both.inputs == cutmix.inputs).flatten(1).all(1) & (both.share == cutmix.share)
    assert (is_blend | is_box).all()
    assert stats.binomtest(int(is_blend.sum()), len(many), 0.5).pvalue > 1e-3


def test_noise_is_normal_with_the_amount_as_its_deviation() -> None:
    rows = torch.zeros(5000, 8)
    taken = Views(AugmentationConfig(noise=0.3), rows, (), 0).take(torch.arange(5000), 0).inputs
    assert stats.kstest(taken.flatten().numpy() / 0.3, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(taken.T.numpy()) - np.eye(8)).max() < 0.07  # features are independent
    assert np.corrcoef(taken[:-1].flatten().numpy(), taken[1:].flatten().numpy())[0, 1] == pytest.approx(0, abs=0.03)


def test_swap_replaces_each_feature_with_its_probability_by_the_same_feature_of_any_row() -> None:
    """The number in place (row, feature) says where it is from."""
    rows = (torch.arange(2000).unsqueeze(1) * 10 + torch.arange(6)).float()
    taken = Views(AugmentationConfig(swap=0.3), rows, (), 0).take(torch.arange(2000), 0).inputs
    assert torch.equal(taken % 10, torch.arange(6).float().expand(2000, -1))
    swapped = (taken != rows).numpy()
    assert stats.binomtest(int(swapped.sum()), swapped.size, 0.3).pvalue > 1e-3
    assert np.abs(np.corrcoef(swapped.T) - np.eye(6)).max() < 0.1
    donors = (taken // 10).numpy()[swapped]
    assert stats.kstest(donors, "uniform", args=(0, 2000)).pvalue > 1e-3
    first = donors[: len(donors) // 2 * 2].reshape(-1, 2)
    assert (first[:, 0] != first[:, 1]).mean() > 0.95  # each feature from a row of its own


@single
def test_a_view_stays_what_it_was_when_a_teacher_labelled_it(kind: str, name: str) -> None:
    """A teacher's cache is found again by a transform's name and amount; change its results, and raise its format."""
    taken = views(DATA[kind], **{name: AMOUNTS[name]}).take(everything(), 5).inputs
    found = hashlib.sha256(taken.contiguous().numpy().tobytes()).hexdigest()[:8]
    assert f"{kind}-{name}" in GOLDEN, f"{Path(__file__).name}: add {found!r}, the digest of a view, to GOLDEN"
    assert found == GOLDEN[f"{kind}-{name}"]


@pytest.mark.parametrize("columns", [1, 5])
def test_numbers_of_columns_are_uniform_and_independent_of_each_other(columns: int) -> None:
    numbers = Draw(0, 0, torch.arange(20_000)).below(16, "noise", columns).numpy()
    assert numbers.shape == (20_000, columns)
    for column in numbers.T:
        assert stats.chisquare(np.bincount(column, minlength=16)).pvalue > 1e-4
    for left, right in zip(numbers.T, numbers.T[1:], strict=False):
        for one, other in ((left, right), (left[1:], right[:-1])):
            table = np.histogram2d(one, other, bins=8)[0]
            assert stats.chi2_contingency(table).pvalue > 1e-4


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
    """All but its shape is of no account."""
    return Dataset(Path(), ("a", "b"), shape, (), (), None, "", (), "hidden", {}, 0)
