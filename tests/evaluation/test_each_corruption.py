"""Each corruption does what its name says, as strongly as its severity says."""

import numpy as np
import pytest
from corrupted_inputs import INPUTS, RANDOM, Array, corruption
from scipy import ndimage

from distill_tune.evaluation.corruptions import SEVERITIES
from distill_tune.evaluation.corruptions._base import as_images


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
    coarse = image.reshape(4, 2, 4, 5, 8, 5).mean((3, 5))  # two blocks span five pixels
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


def test_a_shift_by_part_of_a_pixel_leaves_the_rest_of_the_border_where_it_was() -> None:
    white = np.full((20, 1, 8, 8), 100, dtype=np.uint8)
    for severity, left in zip(SEVERITIES, (0.68, 0.36, 0.04), strict=True):  # 4, 8, 12 % of 8 pixels
        corner, edge, inside = round(100 * left**2), round(100 * left), 100
        for image in corruption("shift").apply(white, severity, 0)[:, 0]:
            assert sorted([*image[0, [0, -1]], *image[-1, [0, -1]]]) == [corner, edge, edge, inside]
            assert (image == inside).sum() == 49


def test_missing_numbers_are_the_mean_and_the_others_are_untouched() -> None:
    rows = INPUTS["rows"]
    holes = corruption("missing").apply(rows, 3, 0) != rows
    assert holes.mean() == pytest.approx(0.5, abs=0.02)
    assert (corruption("missing").apply(rows, 3, 0)[holes] == 0).all()
