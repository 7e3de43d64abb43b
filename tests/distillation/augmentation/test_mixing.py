"""Transforms that mix a sample with another: mixup, cutmix, and both together."""

import numpy as np
import pytest
import torch
from scipy import stats
from small_views import MEAN, everything, images, rows_of_a_table, views
from torch import Tensor

from distill_tune.config.sections import AugmentationConfig
from distill_tune.distillation.augmentation import Draw
from distill_tune.distillation.views import Views
from distill_tune.registry import AUGMENTATIONS


@pytest.mark.parametrize("alpha", [0.2, 1.0, 10.0])
def test_mixup_draws_its_shares_from_beta(alpha: float) -> None:
    share = AUGMENTATIONS.get("mixup")(amount=alpha).share(Draw(0, 0, torch.arange(20_000)))
    for point in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        below = float((share < point).float().mean())
        assert below == pytest.approx(stats.beta.cdf(point, alpha, alpha), abs=0.012)  # standard error: at most 0.0035
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
    """The paper's mixing weight, recovered from boxes that lie inside the image; Beta(1, 1) is uniform."""
    black, white = torch.zeros(20_000, 1, 64, 64, dtype=torch.uint8), torch.full((20_000, 1, 64, 64), 1)
    draw = Draw(0, 0, torch.arange(20_000))
    mixed, share = AUGMENTATIONS.get("cutmix")(amount=1.0).mix(black, white.to(torch.uint8), draw)
    sides = mixed[:, 0].amax(1).sum(1).float()
    rows = mixed[:, 0].amax(2).sum(1).float()
    edge = mixed[:, 0, 0].amax(1) | mixed[:, 0, -1].amax(1) | mixed[:, 0, :, 0].amax(1) | mixed[:, 0, :, -1].amax(1)
    inside = (edge == 0) & (sides > 0)
    assert torch.equal(sides[inside], rows[inside])
    # a box of side s lies inside for (1 - s)^2 of all centres; reweight accordingly
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
