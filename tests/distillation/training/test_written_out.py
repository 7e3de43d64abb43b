"""Gradients that are written out, against autograd's for the same losses."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_batches import batch_of, objective
from small_trainings import weights_after

from distill_tune.config import Config, Space
from distill_tune.distillation.losses.soft_targets import SoftTargets
from distill_tune.distillation.training import run as run_module
from distill_tune.distillation.training.objective import Objective
from distill_tune.distillation.training.written_out import are_terms_written_out, written_out

Make = Callable[..., Space]
Ready = Callable[[Space], tuple[Config, Any]]
KINDS = [
    {"kind": "soft_targets", "temperature": 1.0, "soft_weight": 0.5},
    {"kind": "soft_targets", "temperature": 8.0, "soft_weight": 0.9, "temperature_end": 0.5, "soft_weight_end": 0.0},
    {"kind": "soft_targets", "temperature": 2.0, "soft_weight": 1.0},
    {"kind": "soft_targets", "temperature": 2.0, "soft_weight": 0.0},
    {"kind": "label_smoothing"},
    {"kind": "labels"},
]


@pytest.mark.parametrize("loss", KINDS, ids=lambda loss: "-".join(map(str, loss.values())))
@given(
    seed=st.integers(0, 99),
    unlabelled=st.booleans(),
    mixed=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1]),
    progress=st.floats(0, 1),
    spread=st.sampled_from([0.01, 1.0, 30.0]),
)
def test_terms_and_gradient_are_those_of_autograd(
    loss: dict[str, Any], seed: int, unlabelled: bool, mixed: bool, smoothing: float, progress: float, spread: float
) -> None:
    logits, batch = batch_of(6, seed, unlabelled, mixed)
    sought = objective(smoothing, **loss)
    assert are_terms_written_out(sought)
    teacher = batch.teacher_logits if sought.uses_teacher else None
    leaf = (spread * logits).requires_grad_()
    terms = sought.terms(leaf, batch, teacher, progress)
    sought.weigh(*terms, progress).backward()
    found = written_out(sought, leaf, batch, teacher, progress)
    torch.testing.assert_close(found.by_logits, leaf.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.terms.hard, terms.hard, rtol=1e-5, atol=1e-6)
    assert (found.terms.soft is None) is (terms.soft is None)
    if found.terms.soft is not None and terms.soft is not None:
        torch.testing.assert_close(found.terms.soft, terms.soft, rtol=1e-4, atol=1e-5)


def test_what_is_read_stays_as_it_was() -> None:
    """Several steps share the tensors of one chunk."""
    logits, batch = batch_of(6, 0, unlabelled=True, mixed=True)
    fields = [logits, *(field for field in batch if isinstance(field, torch.Tensor))]
    before = [field.clone() for field in fields]
    written_out(objective(0.1, kind="soft_targets"), logits, batch, batch.teacher_logits, 0.5)
    assert all(map(torch.equal, fields, before))


@pytest.mark.parametrize("unequal", ["logits", "teacher"])
def test_what_is_not_finite_is_seen_in_the_terms(unequal: str) -> None:
    logits, batch = batch_of(6, 0)
    assert batch.teacher_logits is not None
    (logits if unequal == "logits" else batch.teacher_logits)[2, 3] = float("nan")
    terms, _ = written_out(objective(kind="soft_targets"), logits, batch, batch.teacher_logits, 0.5)
    assert terms.soft is not None
    assert terms.soft.isnan()


class Halved(SoftTargets):
    """Computes a different term from its base class."""

    def soft(self, *logits_and_temperature: Any) -> Any:
        """Half of the base class's term."""
        return super().soft(*logits_and_temperature) / 2


@pytest.mark.parametrize(
    "loss",
    [{"kind": "dkd"}, {"kind": "soft_targets", "also": {"rkd": 0.1}}, {"kind": "hint"}],
    ids=["another loss", "a further term", "on features"],
)
def test_what_has_another_term_is_left_to_autograd(loss: dict[str, Any]) -> None:
    assert not are_terms_written_out(objective(**loss))


def test_what_is_derived_from_soft_targets_is_left_to_autograd() -> None:
    sought = objective(kind="soft_targets")
    sought.loss = Halved()
    assert not are_terms_written_out(sought)


@pytest.mark.parametrize(
    "sections",
    [
        {"loss": {"kind": "soft_targets", "temperature": 3.0, "soft_weight": 0.7}},
        {"loss": {"kind": "labels"}, "optim": {"label_smoothing": 0.1, "gradient_clip": 0.5}},
        {"loss": {"kind": "soft_targets"}, "optim": {"batch_size": 16, "accumulate": 3}},
        {"loss": {"kind": "soft_targets"}, "augmentation": {"mixup": 0.4}, "optim": {"precision": "bfloat16"}},
    ],
    ids=["two terms", "labels", "accumulated", "mixed, bfloat16"],
)
def test_a_training_ends_where_one_by_autograd_ends(
    table_space: Make, ready: Ready, sections: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = ready(table_space(**sections))
    ours = weights_after(prepared)

    def never(_: Objective) -> bool:
        return False

    monkeypatch.setattr(run_module, "are_terms_written_out", never)
    theirs = weights_after(prepared)
    tolerance = 1e-2 if "bfloat16" in str(sections) else 1e-4
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=tolerance, atol=tolerance)
