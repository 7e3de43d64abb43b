"""Each transform changes a sample as its name says, as often and as much as it should."""

import numpy as np
import pytest
import torch
from scipy import stats
from small_views import MEAN, SIDE, everything, images

from distill_tune.config.sections import AugmentationConfig
from distill_tune.distillation.augmentation import Draw
from distill_tune.distillation.augmentation._quantiles import kept_normal, normal
from distill_tune.distillation.views import Views
from distill_tune.registry import AUGMENTATIONS


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
    assert covered.max() == 9  # the whole square
    assert covered.min() == 4  # centred in a corner


def slow_bilinear(image: np.ndarray, row: float, column: float) -> float:
    """Interpolate one pixel of one channel from the definition, with zeros outside."""
    total, (height, width) = 0.0, image.shape
    for r in (int(np.floor(row)), int(np.floor(row)) + 1):
        for c in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= r < height and 0 <= c < width:
                total += image[r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return total


@pytest.mark.parametrize("shape", [(9, 9), (6, 11)])
def test_rotation_is_bilinear_by_an_angle_within_its_amount(shape: tuple[int, int]) -> None:
    """Against the definition at the drawn angle: every pixel must match."""
    image = torch.nn.functional.interpolate(images()[:1, :1].float(), shape)  # an image of that shape
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
    """On a ramp, the ends of a window tell where it is, and the steps between them are even."""
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
    assert not torch.allclose(taken[:, 0, 0, 0], taken[:, 1, 0, 0])  # but at different positions


def test_color_is_the_formula_with_two_factors_an_image() -> None:
    """x' is linear in x, so two numbers per image explain every pixel that was not clipped."""
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


def test_noise_is_normal_with_the_amount_as_its_deviation() -> None:
    rows = torch.zeros(5000, 8)
    taken = Views(AugmentationConfig(noise=0.3), rows, (), 0).take(torch.arange(5000), 0).inputs
    assert stats.kstest(taken.flatten().numpy() / 0.3, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(taken.T.numpy()) - np.eye(8)).max() < 0.07  # features are independent
    assert np.corrcoef(taken[:-1].flatten().numpy(), taken[1:].flatten().numpy())[0, 1] == pytest.approx(0, abs=0.03)


def test_noise_that_is_kept_is_the_noise_that_is_drawn() -> None:
    rows, index = torch.zeros(100, 8), torch.tensor([7, 3, 99])
    drawn = normal(Draw(0, 2, index), "noise", 8)
    assert torch.equal(kept_normal(Draw(0, 2, index, pool=rows), "noise", 8), drawn)
    assert torch.equal(kept_normal(Draw(0, 2, index), "noise", 8), drawn)
    assert not torch.equal(kept_normal(Draw(0, 3, index, pool=rows), "noise", 8), drawn)


def test_swap_replaces_each_feature_with_its_probability_by_the_same_feature_of_any_row() -> None:
    """The value at (row, feature) tells which row and feature it came from."""
    rows = (torch.arange(2000).unsqueeze(1) * 10 + torch.arange(6)).float()
    taken = Views(AugmentationConfig(swap=0.3), rows, (), 0).take(torch.arange(2000), 0).inputs
    assert torch.equal(taken % 10, torch.arange(6).float().expand(2000, -1))
    swapped = (taken != rows).numpy()
    assert stats.binomtest(int(swapped.sum()), swapped.size, 0.3).pvalue > 1e-3
    assert np.abs(np.corrcoef(swapped.T) - np.eye(6)).max() < 0.1
    donors = (taken // 10).numpy()[swapped]
    assert stats.kstest(donors, "uniform", args=(0, 2000)).pvalue > 1e-3
    first = donors[: len(donors) // 2 * 2].reshape(-1, 2)
    assert (first[:, 0] != first[:, 1]).mean() > 0.95  # each feature has its own donor row
