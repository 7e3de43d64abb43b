"""Losses on features against their papers' definitions, written out in NumPy per sample."""

from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from terms_on_features import SEEDS, Array, drawn, few, on_features, term_of
from torch import nn

from distill_tune.distillation.losses.attention import attention_loss, attention_map
from distill_tune.distillation.losses.crd import crd_loss
from distill_tune.distillation.losses.pkt import pkt_loss
from distill_tune.distillation.losses.reviewkd import hierarchical_context_loss
from distill_tune.distillation.losses.vid import vid_loss
from distill_tune.registry import LOSSES


@few
@given(seed=SEEDS)
def test_hint_is_as_its_paper_defines_it(seed: int) -> None:
    """Equation 2 of FitNets, divided by the number of values per sample, with a linear regressor."""
    term = term_of("hint", [(5,)], [(4,)], scale=3.0)
    (student,), (teacher,) = drawn([(5,)], seed=seed), drawn([(4,)], seed=seed + 1)
    linear = dict(term.named_parameters())
    weight, bias = linear["projector.projectors.0.layers.0.weight"], linear["projector.projectors.0.layers.0.bias"]
    projected = student.numpy() @ weight.detach().numpy().T + bias.detach().numpy()
    expected = np.mean([0.5 * ((p - t) ** 2).sum() / 4 for p, t in zip(projected, teacher.numpy(), strict=True)])
    assert term([student], [teacher]).item() == pytest.approx(3 * expected)


@few
@given(seed=SEEDS)
def test_attention_is_as_its_paper_defines_it(seed: int) -> None:
    """Equation 2 of the paper, squared: F_sum^2 maps, flattened and scaled to length 1."""
    student, teacher = (each.numpy() for each in drawn([(3, 4, 5), (6, 4, 5)], seed=seed))

    def attention(feature: Array) -> Array:
        summed = sum(np.abs(channel) ** 2 for channel in feature).ravel()  # type: ignore[union-attr]
        return summed / np.sqrt((summed**2).sum())

    expected = np.mean([((attention(s) - attention(t)) ** 2).sum() for s, t in zip(student, teacher, strict=True)])
    assert attention_loss(torch.from_numpy(student), torch.from_numpy(teacher)).item() == pytest.approx(expected)
    assert attention_map(torch.from_numpy(student))[2].numpy() == pytest.approx(attention(student[2]))


@few
@given(seed=SEEDS)
def test_pkt_is_as_its_paper_defines_it(seed: int) -> None:
    """Equations 4, 5 and 8: conditional probabilities from the cosine kernel, and their divergence."""
    student, teacher = (each.numpy() for each in drawn([(5,), (7,)], batch=6, seed=seed))

    def likeness(a: Array, b: Array) -> float:
        return float((a @ b / np.sqrt((a @ a) * (b @ b)) + 1) / 2)

    def picks(rows: Array, i: int, j: int) -> float:
        others = [k for k in range(len(rows)) if k != i]
        return likeness(rows[i], rows[j]) / sum(likeness(rows[i], rows[k]) for k in others)

    expected = 0.0
    for i in range(6):
        for j in range(6):
            if i != j:
                p, q = picks(teacher, i, j), picks(student, i, j)
                expected += p * log(p / q) / 6
    assert pkt_loss(torch.from_numpy(student), torch.from_numpy(teacher)).item() == pytest.approx(expected, abs=1e-6)


@few
@given(seed=SEEDS)
def test_vid_is_the_likelihood_of_a_normal_distribution(seed: int) -> None:
    """Equation 5, against PyTorch's Normal; the constant log(2 pi) / 2 is left out."""
    mean, teacher = drawn([(4, 3, 3), (4, 3, 3)], seed=seed)
    variance = drawn([(4, 1, 1)], batch=1, seed=seed + 2)[0][0].exp()
    normal = torch.distributions.Normal(mean, variance.sqrt())
    expected = -normal.log_prob(teacher).mean() - 0.5 * np.log(2 * np.pi)
    torch.testing.assert_close(vid_loss(mean, teacher, variance), expected)


def test_vid_begins_with_the_variance_of_the_usual_implementation() -> None:
    term = term_of("vid", [(5,)], [(4,)])
    assert term.projector is not None
    ((_, _, variance),) = term.projector(drawn([(5,)]), drawn([(4,)]))
    torch.testing.assert_close(variance, torch.full((4,), 5.0, dtype=torch.float64), atol=1e-5, rtol=0)


@few
@given(seed=SEEDS, tau=st.floats(0.05, 1))
def test_crd_is_as_its_paper_defines_it(seed: int, tau: float) -> None:
    """Equation 18 with the critic of equation 19: a sum over pairs of the batch, c = N times the mean exponential."""
    student, teacher = (nn.functional.normalize(each, dim=1).numpy() for each in drawn([(6,), (6,)], seed=seed))
    c = 7 * exp(1 / (2 * tau**2 * 6))

    def critic(i: int, j: int) -> float:
        power = exp(student[i] @ teacher[j] / tau)
        return power / (power + c)

    expected = 0.0
    for i in range(8):
        expected -= log(critic(i, i)) / 8
        expected -= sum(log(1 - critic(i, j)) for j in range(8) if j != i) / 8
    found = crd_loss(torch.from_numpy(student), torch.from_numpy(teacher), tau)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_the_mean_exponential_of_crd_is_that_of_random_directions() -> None:
    one, other = (nn.functional.normalize(each, dim=1) for each in drawn([(128,), (128,)], batch=2000))
    mean = (one @ other.mT / 0.07).exp().mean().item()
    assert exp(1 / (2 * 0.07**2 * 128)) == pytest.approx(mean, rel=0.02)


@few
@given(seed=SEEDS)
def test_the_hierarchical_context_loss_is_as_its_paper_defines_it(seed: int) -> None:
    """Differences at 8 x 8, 4 x 4, 2 x 2 and 1 x 1 places, weighted 8 : 4 : 2 : 1."""
    student, teacher = (each.numpy() for each in drawn([(3, 8, 8), (3, 8, 8)], batch=2, seed=seed))

    def coarse(maps: Array, side: int) -> Array:
        return maps.reshape(2, 3, side, 8 // side, side, 8 // side).mean((3, 5))

    parts = [((coarse(student, side) - coarse(teacher, side)) ** 2).mean() for side in (8, 4, 2, 1)]
    expected = np.average(parts, weights=[8, 4, 2, 1])
    found = hierarchical_context_loss(torch.from_numpy(student), torch.from_numpy(teacher))
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["sp", "rkd"])
def test_on_features_a_relation_is_that_of_the_same_logits_a_hundredfold(name: str) -> None:
    student, teacher = drawn([(5,), (5,)])
    on_logits = LOSSES.get(name)().soft(student, teacher, 4.0)
    torch.testing.assert_close(on_features(name).compare(student, teacher), 100 * on_logits)
