"""The outcome: the part of `summary.json` that says what was found, and the winner's folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill_tune.data import open_dataset
from distill_tune.data.sources import Source
from distill_tune.distillation.devices import device_for
from distill_tune.distillation.preparation.prepare import Preparation
from distill_tune.evaluation.latency import latency_ms
from distill_tune.export.model_card import input_sentence, model_card
from distill_tune.export.student_folder import brightest_of, write_student_folder
from distill_tune.teachers import Teacher
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import merit_of
from distill_tune.tuning.verdict import summary, teacher_summary
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.confirmation import Confirmation
from distill_tune.tuning.verdict.examination import examine, load_student
from distill_tune.tuning.verdict.verdicts import verdicts_of


def complete(
    head: dict[str, Any],
    confirmation: Confirmation,
    preparation: Preparation,
    limits: Limits,
    ledger: Ledger,
    folder: Path,
) -> dict[str, Any]:
    """Examine winner and baselines on the test split, write the winner's folder, and return the summary."""
    winner, baselines, data = confirmation.winner, confirmation.baselines, preparation.dataset
    teacher = preparation.teacher.mixed(Teacher.of(winner.config.teacher).mix())
    folds = [open_dataset(fold.data_folder) for fold in preparation.prepared.folds]
    examination = examine([winner, *baselines], teacher, data, folds, device_for(winner.config))
    seed = max(winner.weights, key=lambda each: merit_of(winner.reports[each], ledger.objective))
    weights = winner.weights[seed]
    found = {
        **head,
        "status": "complete",
        "best": summary.best_of(winner, seed, examination, _cost(winner, weights, limits, preparation)),
        "teacher": teacher_summary.teacher_of(teacher, examination, data.input_shape, preparation.on_validation)
        | {"kept_logits": teacher_summary.kept_logits(winner.config, len(data.classes))},
        "baselines": {b.name: summary.baseline_of(b, winner, examination, ledger) for b in baselines},
        "verdict": verdicts_of(winner, [b.name for b in baselines], examination),
        **summary.selection_bias(winner, ledger.objective, ledger.sign),
        "flattered": confirmation.is_flattered,
        **summary.choice(confirmation, ledger),
        **summary.failures(confirmation),
    }
    card = model_card({**found, "trials": summary.trial_counts(ledger)}, _says_input(winner, preparation), data.classes)
    left_out = write_student_folder(folder, winner.config, data, weights, card)
    found["best"]["left_out"] = left_out
    return found


def _says_input(winner: Candidate, preparation: Preparation) -> str:
    data, source = preparation.dataset, Source.of(winner.config.data)
    brightest = brightest_of(winner.config, data)
    return input_sentence(data.input_shape, data.encoder, getattr(source, "separator", None), brightest)


def _cost(winner: Candidate, weights: Path, limits: Limits, preparation: Preparation) -> dict[str, Any]:
    return {
        **asdict(limits.cost(winner.config)),
        "latency_ms": _latency_ms(winner, weights, preparation),
        "bytes": weights.stat().st_size,
    }


def _latency_ms(winner: Candidate, weights: Path, preparation: Preparation) -> float:
    """The latency measured in the search for a limit or an objective; measured now if neither needed it."""
    if winner.source.latency_ms is not None:
        return winner.source.latency_ms
    data = preparation.dataset
    return latency_ms(load_student(winner.config, data, weights), data.input_shape, data.is_image)
