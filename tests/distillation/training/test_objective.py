"""The weighting of the labels' and the teacher's terms, with missing labels and mixed samples."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_batches import CLASSES, batch_of, objective
from torch import Tensor

from distill_tune.data import UNLABELLED
from distill_tune.distillation.losses.dkd import Dkd
from distill_tune.distillation.losses.soft_targets import soft_target_loss
from distill_tune.distillation.materials.batches import Batch
from distill_tune.distillation.training.objective import hard_loss


def numpy_hard_loss(logits: Tensor, batch: Batch, smoothing: float) -> float:
    """The labels' term, sample by sample and label by label."""
    log_p = np.log(np.exp(logits.double().numpy()) / np.exp(logits.double().numpy()).sum(1, keepdims=True))
    total = 0.0
    for i in range(len(logits)):
        share = 1.0 if batch.share is None else float(batch.share[i])
        sides = [(int(batch.labels[i]), share)]
        sides += [] if batch.partner_labels is None else [(int(batch.partner_labels[i]), 1 - share)]
        for label, weight in sides:
            if label != UNLABELLED:
                target = np.full(CLASSES, smoothing / CLASSES)
                target[label] += 1 - smoothing
                total -= weight * float((target * log_p[i]).sum())
    return total / (batch.labelled_share * len(logits))


@given(st.integers(0, 99), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.1]))
def test_the_labels_term_is_what_numpy_computes(seed: int, unlabelled: bool, mixed: bool, smoothing: float) -> None:
    logits, batch = batch_of(6, seed, unlabelled, mixed)
    expected = numpy_hard_loss(logits, batch, smoothing)
    assert hard_loss(logits, batch, smoothing).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(st.integers(0, 99), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.1]))
def test_the_parts_of_a_batch_average_to_the_whole(seed: int, unlabelled: bool, mixed: bool, smoothing: float) -> None:
    logits, batch = batch_of(8, seed, unlabelled, mixed)

    def part(rows: slice) -> Tensor:
        fields = [None if field is None else field[rows] for field in batch[:5]]
        return hard_loss(logits[rows], Batch(*fields, batch.labelled_share), smoothing)  # type: ignore[arg-type]

    halves = (part(slice(0, 4)) + part(slice(4, 8))) / 2
    torch.testing.assert_close(halves, hard_loss(logits, batch, smoothing))


def test_a_batch_without_any_label_has_no_labels_term_and_no_nan() -> None:
    logits, batch = batch_of(4, 0)
    nothing = batch._replace(labels=torch.full((4,), UNLABELLED), labelled_share=0.1)
    logits.requires_grad_()
    value = hard_loss(logits, nothing, 0.1)
    value.backward()
    assert value == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_the_labelled_side_of_a_mixture_with_an_unlabelled_sample_counts_by_its_share() -> None:
    logits = torch.randn(1, CLASSES, generator=torch.Generator().manual_seed(0))
    known, unknown, share = torch.tensor([2]), torch.tensor([UNLABELLED]), torch.tensor([0.3])
    expected = torch.nn.functional.cross_entropy(logits, known)
    first = Batch(torch.empty(1, 0), known, None, unknown, share, 1.0)
    second = Batch(torch.empty(1, 0), unknown, None, known, share, 1.0)
    torch.testing.assert_close(hard_loss(logits, first), 0.3 * expected)
    torch.testing.assert_close(hard_loss(logits, second), 0.7 * expected)


def test_mixing_a_sample_with_its_own_class_is_no_mixture() -> None:
    logits, batch = batch_of(6, 3, mixed=True)
    same = batch._replace(partner_labels=batch.labels)
    torch.testing.assert_close(hard_loss(logits, same), torch.nn.functional.cross_entropy(logits, batch.labels))


def test_a_soft_weight_of_0_is_the_labels_alone_and_looks_at_no_teacher() -> None:
    logits, batch = batch_of(6, 4)
    without = objective(soft_weight=0.0)
    assert not without.uses_teacher
    terms = without.terms(logits, batch, None)
    assert without.weigh(*terms) == torch.nn.functional.cross_entropy(logits, batch.labels)


def test_a_soft_weight_of_1_is_the_teacher_alone() -> None:
    logits, batch = batch_of(6, 5)
    alone = objective(soft_weight=1.0, temperature=3.0)
    terms = alone.terms(logits, batch, batch.teacher_logits)
    assert batch.teacher_logits is not None
    assert alone.weigh(*terms) == soft_target_loss(logits, batch.teacher_logits, 3.0)


@given(st.floats(0.01, 1), st.floats(1, 20), st.sampled_from([0.0, 0.2]))
def test_the_total_is_the_one_convention(soft_weight: float, temperature: float, smoothing: float) -> None:
    logits, batch = batch_of(6, 6)
    assert batch.teacher_logits is not None
    weighed = objective(smoothing, soft_weight=soft_weight, temperature=temperature)
    total = weighed.weigh(*weighed.terms(logits, batch, batch.teacher_logits))
    hard = torch.nn.functional.cross_entropy(logits, batch.labels, label_smoothing=smoothing)
    soft = soft_target_loss(logits, batch.teacher_logits, temperature)
    torch.testing.assert_close(total, (1 - soft_weight) * hard + soft_weight * soft)


@pytest.mark.parametrize("kind", ["labels", "label_smoothing"])
def test_labels_alone_count_no_soft_weight(kind: str) -> None:
    alone = objective(kind=kind, soft_weight_end=0.5)
    assert not alone.uses_teacher
    assert alone.soft_weight(1.0) == 0


@given(st.floats(0, 1), st.sampled_from(["linear", "cosine"]))
def test_temperature_and_weight_are_those_of_the_progress(progress: float, schedule: str) -> None:
    logits, batch = batch_of(6, 7)
    assert batch.teacher_logits is not None
    ends = {"temperature_end": 1.0, "soft_weight_end": 0.25, "schedule": schedule}
    moving = objective(temperature=8.0, soft_weight=0.75, **ends)
    share = progress if schedule == "linear" else (1 - np.cos(np.pi * progress)) / 2
    temperature, soft_weight = 8 - 7 * share, 0.75 - 0.5 * share
    found = moving.weigh(*moving.terms(logits, batch, batch.teacher_logits, progress), progress)
    hard = torch.nn.functional.cross_entropy(logits, batch.labels)
    soft = soft_target_loss(logits, batch.teacher_logits, temperature)
    torch.testing.assert_close(found, (1 - soft_weight) * hard + soft_weight * soft)


@pytest.mark.parametrize(
    ("weights", "looks"), [((0.0, None), False), ((0.0, 0.0), False), ((0.0, 0.1), True), ((0.1, 0.0), True)]
)
def test_a_teacher_is_looked_at_where_it_has_a_weight_in_any_step(weights: tuple[float, Any], looks: bool) -> None:
    end = {} if weights[1] is None else {"soft_weight_end": weights[1]}
    assert objective(soft_weight=weights[0], **end).uses_teacher == looks


@pytest.mark.parametrize(
    ("loss", "on_features", "plain"),
    [
        ({"kind": "dkd"}, [], True),
        ({"kind": "labels"}, [], True),
        ({"kind": "sp"}, [], True),
        ({"kind": "sp", "sp": {"on": "features"}}, ["sp"], False),
        ({"kind": "hint", "soft_weight": 0.0}, [], True),
        ({"kind": "hint", "soft_weight": 0.0, "soft_weight_end": 0.1}, ["hint"], False),
        ({"kind": "dkd", "also": {"hint": 0.0, "dkd": 1.0}}, [], True),
        ({"kind": "labels", "also": {"mlkd": 0.1, "vid": 0.1}}, ["vid"], False),
    ],
    ids=str,
)
def test_an_objective_knows_which_of_its_terms_are_on_features(
    loss: dict[str, Any], on_features: list[str], plain: bool
) -> None:
    found = objective(**loss)
    assert list(found.on_features) == on_features
    assert found.is_plain == plain
    assert found.uses_teacher == (bool(on_features) or loss["kind"] in ("dkd", "sp"))


def test_further_terms_are_added_with_their_weights_to_what_the_kind_weighs() -> None:
    logits, batch = batch_of(6, 10)
    assert batch.teacher_logits is not None
    both = objective(kind="dkd", soft_weight=0.25, temperature=3.0, also={"soft_targets": 0.5, "hint": 2.0})
    hint = torch.tensor(7.0)
    terms = both.terms(logits, batch, batch.teacher_logits, on_features={"hint": hint})
    hard = torch.nn.functional.cross_entropy(logits, batch.labels)
    dkd = Dkd().soft_with_labels(logits, batch.teacher_logits, 3.0, batch.labels)
    soft = soft_target_loss(logits, batch.teacher_logits, 3.0)
    torch.testing.assert_close(torch.stack(terms.also), torch.stack([soft, hint]))
    torch.testing.assert_close(both.weigh(*terms), 0.75 * hard + 0.25 * dkd + 0.5 * soft + 2 * hint)


def test_a_loss_that_asks_for_labels_gets_them_unless_inputs_are_mixed() -> None:
    for mixed in (False, True):
        logits, batch = batch_of(8, 8, unlabelled=True, mixed=mixed)
        assert batch.teacher_logits is not None
        soft = objective(kind="dkd", temperature=3.0).terms(logits, batch, batch.teacher_logits).soft
        labels = None if mixed else batch.labels
        assert soft == Dkd().soft_with_labels(logits, batch.teacher_logits, 3.0, labels)


@pytest.mark.parametrize(("own", "general", "both"), [(0.2, 0.0, 0.2), (0.0, 0.1, 0.1), (0.2, 0.1, 0.28)])
def test_label_smoothing_by_the_loss_is_that_of_the_labels_term(own: float, general: float, both: float) -> None:
    logits, batch = batch_of(6, 9)
    smoothed = objective(general, kind="label_smoothing", label_smoothing={"smoothing": own})
    hard, soft, _ = smoothed.terms(logits, batch, None)
    assert soft is None
    assert hard.item() == pytest.approx(numpy_hard_loss(logits, batch, both), rel=1e-5)
