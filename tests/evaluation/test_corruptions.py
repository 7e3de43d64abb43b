"""Contract of every corruption, and the accuracy under them."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.datasets import load_digits

from distill_tune.evaluation import corrupted
from distill_tune.evaluation.corrupted import (
    MOST_SAMPLES,
    corrupted_accuracies,
    corruptions_for,
    dealt_out,
)
from distill_tune.evaluation.corruptions import SEVERITIES, Corruption
from distill_tune.evaluation.corruptions._base import as_images
from distill_tune.evaluation.metrics import accuracy
from distill_tune.registry import CORRUPTIONS

Array = NDArray[Any]

RANDOM = np.random.default_rng(0)
INPUTS: dict[str, Array] = {
    "digits": load_digits().images[:200, None].astype(np.uint8),
    "photographs": np.cumsum(RANDOM.integers(0, 14, (30, 3, 32, 32)), axis=-1).clip(0, 255).astype(np.uint8),
    "rows": RANDOM.standard_normal((300, 16)).astype(np.float32),
}
CASES = [(name, kind) for kind, inputs in INPUTS.items() for name in corruptions_for(inputs)]


def corruption(name: str) -> Corruption:
    made: Corruption = CORRUPTIONS.get(name)()
    return made


def test_every_corruption_fits_something() -> None:
    assert {name for name, _ in CASES} == set(CORRUPTIONS.names)


def test_images_and_tables_have_corruptions_of_their_own() -> None:
    photographs, rows = set(corruptions_for(INPUTS["photographs"])), set(corruptions_for(INPUTS["rows"]))
    assert set(corruptions_for(INPUTS["digits"])) == photographs
    assert photographs & rows == {"noise"}
    assert len(photographs) >= 12
    assert len(rows) >= 4


@pytest.mark.parametrize(("name", "kind"), CASES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_shape_dtype_and_range_are_kept_and_the_input_is_not_touched(name: str, kind: str, severity: int) -> None:
    inputs = INPUTS[kind].copy()
    inputs.flags.writeable = False
    worse = corruption(name).apply(inputs, severity, 0)
    assert worse.shape == inputs.shape
    assert worse.dtype == inputs.dtype
    assert np.isfinite(worse).all()
    if kind != "rows":
        assert worse.max() <= inputs.max()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_same_seed_gives_the_same_corruption(name: str, kind: str) -> None:
    first, again = (corruption(name).apply(INPUTS[kind], 2, seed=5) for _ in range(2))
    assert np.array_equal(first, again)


NOT_RANDOM = {"blur", "brightness", "contrast", "pixelate", "scale"}


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_another_seed_gives_another_corruption_where_anything_is_random(name: str, kind: str) -> None:
    first, second = (corruption(name).apply(INPUTS[kind], 2, seed) for seed in (0, 1))
    assert np.array_equal(first, second) == (name in NOT_RANDOM)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_higher_severity_changes_more(name: str, kind: str) -> None:
    inputs = INPUTS[kind].astype(float)
    changes = [np.abs(corruption(name).apply(INPUTS[kind], s, 0) - inputs).mean() for s in SEVERITIES]
    assert 0 < changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_black_images_and_empty_sets_are_no_trouble(name: str, kind: str) -> None:
    black = np.zeros_like(INPUTS[kind][:3])
    assert corruption(name).apply(black, 3, 0).shape == black.shape
    assert corruption(name).apply(black[:0], 3, 0).shape == black[:0].shape


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if case[1] != "rows"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 13)])
def test_images_of_any_shape_can_be_worse(name: str, kind: str, shape: tuple[int, int]) -> None:
    inputs = INPUTS[kind][:20, :, : shape[0], : shape[1]] if kind == "photographs" else INPUTS[kind][:20, :, :1, :7]
    assert corruption(name).apply(inputs, 3, 0).shape == inputs.shape


@pytest.mark.parametrize("severity", SEVERITIES)
def test_rotation_agrees_with_scipy(severity: int) -> None:
    images = INPUTS["photographs"]
    turned = corruption("rotation").apply(images, severity, 0)
    angle = (10, 20, 30)[severity - 1]
    both = [
        as_images(
            ndimage.rotate(images.astype(float), side * angle, (2, 3), False, order=1, mode="grid-constant"), images
        )
        for side in (1, -1)
    ]
    fits = np.stack([np.abs(turned.astype(int) - each).max((1, 2, 3)) <= 1 for each in both])
    assert fits.any(0).all()
    assert 0 < fits[0].sum() < len(images)


def test_scale_keeps_the_middle_and_brings_black_in() -> None:
    white = np.full((2, 1, 40, 40), 200, dtype=np.uint8)
    for severity, size in zip(SEVERITIES, (36, 32, 28), strict=True):
        small = corruption("scale").apply(white, severity, 0)
        edge = (40 - size) // 2
        assert (small[:, :, edge + 1 : -edge - 1, edge + 1 : -edge - 1] == 200).all()
        assert (small[:, :, : edge - 1] == 0).all()


def test_a_stripe_inverts_whole_columns_next_to_each_other() -> None:
    images = INPUTS["photographs"].copy()
    images[0, 0, 0, 0] = 255
    striped = corruption("stripe").apply(images, 3, 0)
    for before, after in zip(images.astype(int), striped, strict=True):
        changed = np.flatnonzero((before != after).any((0, 1)))
        inverted = (after == 255 - before).all((0, 1))
        assert len(changed) <= round(0.18 * 32) + 1
        assert np.ptp(changed) == len(changed) - 1
        assert inverted[changed[1:-1]].all()


def test_impulses_are_black_or_white_and_as_many_as_said() -> None:
    grey = np.full((50, 3, 20, 20), 100, dtype=np.uint8)
    grey[:, :, 0, 0] = 255
    for severity, share in zip(SEVERITIES, (0.05, 0.12, 0.25), strict=True):
        worse = corruption("impulse").apply(grey, severity, 0)
        lost = worse != grey
        assert lost.mean() == pytest.approx(share, abs=0.01)
        assert set(np.unique(worse[lost])) == {0, 255}
        assert (worse[lost] == 255).mean() == pytest.approx(0.5, abs=0.03)


def test_pixelate_is_the_mean_of_whole_blocks_where_they_divide_the_side() -> None:
    image = RANDOM.integers(256, size=(4, 2, 20, 40)).astype(np.uint8)
    blocks = corruption("pixelate").apply(image, 3, 0)  # 0.4: 8 and 16 blocks of 2.5 pixels
    assert np.array_equal(blocks[..., 0:2], np.repeat(blocks[..., 0:1], 2, axis=-1))
    coarse = image.reshape(4, 2, 4, 5, 8, 5).mean((3, 5))  # two blocks have five pixels
    np.testing.assert_allclose(blocks.reshape(4, 2, 4, 5, 8, 5).mean((3, 5)), coarse, atol=0.5)


def test_motion_keeps_the_light_and_spreads_a_dot_along_a_line() -> None:
    dots = np.zeros((60, 1, 41, 41), dtype=np.uint8)
    dots[:, 0, 20, 20] = 252
    for image in corruption("motion").apply(dots, 3, 0)[:, 0].astype(float):
        assert image.sum() == pytest.approx(252, rel=0.15)
        where = np.argwhere(image) - 20
        spread = np.linalg.svd(where * np.sqrt(image[image > 0])[:, None], compute_uv=False)
        assert spread[1] < 0.3 * spread[0]
        assert np.abs(np.average(where, axis=0, weights=image[image > 0])).max() < 0.5


def test_elastic_moves_neighbours_alike_and_the_dot_by_its_share_of_the_side() -> None:
    columns = np.broadcast_to(np.arange(64, dtype=np.uint8) * 2, (100, 1, 64, 64))
    moved = corruption("elastic").apply(columns, 2, 0)[:, 0, 20:44, 20:44].astype(float) / 2
    displaced = moved - np.arange(20, 44)
    assert displaced.std() == pytest.approx(0.06 * 64, rel=0.25)
    assert np.abs(np.diff(displaced, axis=1)).max() < 2.5


def test_fog_makes_black_lighter_and_white_no_darker_and_is_uneven() -> None:
    half = np.zeros((40, 1, 32, 32), dtype=np.uint8)
    half[:, :, 16:] = 255
    for severity, most in zip(SEVERITIES, (0.3, 0.5, 0.7), strict=True):
        foggy = corruption("fog").apply(half, severity, 0).astype(int)
        assert (foggy[:, :, 16:] == 255).all()
        haze = foggy[:, :, :16] / 255
        assert haze.mean() == pytest.approx(most / 2, rel=0.1)
        assert haze.max() <= most + 0.01
        assert haze.std(axis=(2, 3)).min() > 0.05 * most


def test_an_occlusion_is_a_grey_square_of_its_share_of_the_image() -> None:
    white = np.full((100, 1, 32, 32), 200, dtype=np.uint8)
    for severity, side in zip(SEVERITIES, (0.25, 0.38, 0.5), strict=True):
        hidden = corruption("occlusion").apply(white, severity, 0) != 200
        assert hidden.mean() == pytest.approx(side**2, rel=0.05)
        assert all(rectangle_of(each[0]).all() for each in hidden)


def rectangle_of(mask: Array) -> Array:
    """The part of a mask between its first and last rows and columns."""
    (top, left), (bottom, right) = np.argwhere(mask).min(0), np.argwhere(mask).max(0)
    inside: Array = mask[top : bottom + 1, left : right + 1]
    return inside


def test_drift_is_one_line_for_each_column() -> None:
    rows = INPUTS["rows"]
    worse = corruption("drift").apply(rows, 2, 0)
    for before, after in zip(rows.T, worse.T, strict=True):
        slope, offset = np.polyfit(before, after, 1)
        np.testing.assert_allclose(after, slope * before + offset, atol=1e-4)
        assert slope > 0
    lines = np.array([np.polyfit(a, b, 1) for seed in range(30) for a, b in zip(rows.T, drifted(seed).T, strict=True)])
    assert np.log(lines[:, 0]).std() == pytest.approx(0.4, rel=0.1)
    assert lines[:, 1].std() == pytest.approx(0.4, rel=0.1)


def drifted(seed: int) -> Array:
    return corruption("drift").apply(INPUTS["rows"], 2, seed)


def test_swapped_numbers_come_from_their_own_column() -> None:
    rows = (np.arange(300)[:, None] * 100 + np.arange(16)).astype(np.float32)
    worse = corruption("swap").apply(rows, 3, 0)
    assert np.array_equal(worse % 100, rows % 100)
    assert (worse != rows).mean() == pytest.approx(0.4, abs=0.02)


def test_a_shift_by_one_pixel_moves_every_pixel_by_one() -> None:
    image = np.zeros((1, 1, 25, 25), dtype=np.uint8)
    image[0, 0, 12, 12] = 100
    moved = corruption("shift").apply(image, 1, 0)
    assert np.abs(np.argwhere(moved[0, 0] == 100) - 12).tolist() == [[1, 1]]


def test_missing_numbers_are_the_mean_and_the_others_are_untouched() -> None:
    rows = INPUTS["rows"]
    holes = corruption("missing").apply(rows, 3, 0) != rows
    assert holes.mean() == pytest.approx(0.5, abs=0.02)
    assert (corruption("missing").apply(rows, 3, 0)[holes] == 0).all()


def test_corrupted_accuracy_is_a_mean_over_severities_and_corruptions() -> None:
    rows = INPUTS["rows"]
    labels = np.arange(len(rows)) % 2
    seen = []

    def predict(inputs: Array) -> Array:
        seen.append(inputs)
        return np.eye(2)[labels] if len(seen) <= 3 else np.eye(2)[1 - labels]

    names = sorted(corruptions_for(rows))
    expected = {name: float(name == names[0]) for name in names}
    assert corrupted_accuracies([predict], rows, labels)[0] == {**expected, "mean": pytest.approx(1 / len(names))}
    assert len(seen) == 3 * len(names)


def test_several_students_meet_the_same_inputs_and_each_gets_its_own_result() -> None:
    rows = INPUTS["rows"]
    labels = (rows[:, 0] > 0).astype(int)
    seen: list[list[Array]] = [[], []]

    def student(number: int, inputs: Array) -> Array:
        seen[number].append(inputs)
        return np.stack([-inputs[:, number], inputs[:, number]], axis=1)

    students = [partial(student, number) for number in range(2)]
    found = corrupted_accuracies(students, rows, labels)
    assert all(np.array_equal(one, other) for one, other in zip(*seen, strict=True))
    assert found == [corrupted_accuracies([each], rows, labels)[0] for each in students]
    assert found[0]["mean"] > found[1]["mean"]


def test_of_many_samples_evenly_spread_ones_are_taken() -> None:
    rows = np.zeros((MOST_SAMPLES + 1000, 2), dtype=np.float32)
    labels = np.arange(len(rows))
    kept = []

    def predict(inputs: Array) -> Array:
        kept.append(len(inputs))
        return np.zeros((len(inputs), 2))

    corrupted_accuracies([predict], rows, labels % 2)
    assert set(kept) == {MOST_SAMPLES}


@pytest.mark.parametrize("count", [1, 5, 100, 200])
@pytest.mark.parametrize("most", [64, 150, 10_000])
def test_samples_dealt_out_meet_every_corruption_about_equally_often(count: int, most: int) -> None:
    """The place of a sample says who it is; a corruption that is told by its mark says what was done to it."""
    inputs = INPUTS["digits"][:count]
    worse, labels = dealt_out(inputs, np.arange(count), most)
    ways = 3 * len(corruptions_for(inputs))
    per_sample = np.bincount(labels, minlength=count)
    if count <= most:
        assert set(per_sample) == {min(ways, max(1, most // count))}
    else:
        assert per_sample.sum() == most
        assert per_sample.max() == 1
    assert worse.shape == (len(labels), *inputs.shape[1:])
    assert worse.dtype == inputs.dtype


def test_accuracy_on_samples_dealt_out_estimates_that_on_all_in_every_way() -> None:
    images, labels, nearest = a_decent_classifier()
    whole = corrupted_accuracies([nearest], images[600:], labels[600:])[0]["mean"]
    worse, theirs = dealt_out(images[600:], labels[600:])
    assert len(theirs) <= 4096
    assert accuracy(nearest(worse), theirs) == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize("name", sorted(corruptions_for(INPUTS["digits"])))
def test_a_higher_severity_is_harder_for_a_decent_classifier_and_none_is_hopeless(name: str) -> None:
    images, labels, nearest = a_decent_classifier()
    clean = accuracy(nearest(images[600:]), labels[600:])
    worse = [accuracy(nearest(corruption(name).apply(images[600:], s, 0)), labels[600:]) for s in SEVERITIES]
    assert clean + 0.01 >= worse[0] >= worse[1] >= worse[2] > 0.15
    assert worse[2] < clean - 0.02


@cache
def a_decent_classifier() -> tuple[Array, Array, Callable[[Array], Array]]:
    """Digits, their labels, and the nearest of the first 600 as a classifier of the others."""
    digits = load_digits()
    images, labels = digits.images[:, None].astype(np.uint8), digits.target

    def nearest(inputs: Array) -> Array:
        flat, known = (
            inputs.reshape(len(inputs), -1).astype(float),
            images[:600].reshape(600, -1).astype(float),
        )
        distance = (flat**2).sum(1)[:, None] - 2 * flat @ known.T + (known**2).sum(1)
        logits: Array = np.eye(10)[labels[distance.argmin(1)]]
        return logits

    return images, labels, nearest


def test_one_who_knows_the_clean_digits_only_is_worse_on_corrupted_ones() -> None:
    images, labels, nearest = a_decent_classifier()
    clean = (nearest(images[600:]).argmax(1) == labels[600:]).mean()
    corrupted = corrupted_accuracies([nearest], images[600:], labels[600:])[0]
    assert 0.2 < corrupted["mean"] < clean
    assert corrupted == corrupted_accuracies([nearest], images[600:], labels[600:])[0]


def test_of_photographs_fewer_are_taken_than_of_small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrupted, "_MOST_VALUES", 40)
    monkeypatch.setattr(corrupted, "_FEWEST_SAMPLES", 5)
    kept = []

    def predict(inputs: Array) -> Array:
        kept.append(len(inputs))
        return np.zeros((len(inputs), 2))

    for width in (2, 20):
        corrupted_accuracies([predict], np.zeros((50, width), dtype=np.float32), np.arange(50) % 2)
    assert set(kept) == {20, 5}
