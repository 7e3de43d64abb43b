"""`summary.json`: the whole search in numbers, read from its ledger, its confirmation and its examination."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from distill_tune.config import tables_of
from distill_tune.students import multiply_adds
from distill_tune.teachers import LoadedTeacher
from distill_tune.tuning.agreement import rung_report
from distill_tune.tuning.budget import Reason
from distill_tune.tuning.confirmation import Candidate
from distill_tune.tuning.examination import Examination, Examined
from distill_tune.tuning.ledger import Ledger
from distill_tune.tuning.records import Status, TrialRecord
from distill_tune.tuning.schedulers._base import Rung


@dataclass
class Clock:
    """Wall time by phase, in seconds."""

    total_s: float = 0.0
    prepare_s: float = 0.0
    start_s: float = 0.0
    """From the end of preparation to the first trial's first step."""
    search_s: float = 0.0
    """From the first trial's first step to the last trial's end."""
    baseline_search_s: float = 0.0
    """Of the search without a teacher, likewise."""
    confirm_s: float = 0.0
    export_s: float = 0.0

    def searched(self, ledger: Ledger, prepared_s: float, earlier_s: float = 0.0) -> None:
        """Set the phases of a search that has just ended.

        Args:
            ledger: its trials.
            prepared_s: when preparation ended, in seconds since 1970.
            earlier_s: seconds of searching in earlier sittings.
        """
        self.start_s = (first_step_s(ledger, prepared_s) or time.time()) - prepared_s
        self.search_s = searched_s(ledger, prepared_s, earlier_s)


def searched_s(ledger: Ledger, since_s: float, earlier_s: float = 0.0) -> float:
    """Seconds from the first trial's first step since `since_s` to the last trial's end, beside the earlier ones."""
    first_s, last_s = first_step_s(ledger, since_s), last_end_s(ledger, since_s)
    return earlier_s + (max(0.0, last_s - first_s) if first_s and last_s else 0.0)


def first_step_s(ledger: Ledger, since_s: float = 0.0) -> float | None:
    """When the first training step since `since_s` was made (seconds since 1970); None where none was."""
    began = (report["time/began_s"] for record in ledger.records.values() for report in record.reports)
    return min((began_s for began_s in began if began_s >= since_s), default=None)


def last_end_s(ledger: Ledger, since_s: float = 0.0) -> float | None:
    """When the last trained trial ended; None where none has since `since_s`."""
    ended = (record.ended_s for record in ledger.records.values() if record.ended_s and record.reports)
    return max((ended_s for ended_s in ended if ended_s >= since_s), default=None)


def training_share(ledger: Ledger, places: int, search_s: float) -> float:
    """The share of the workers' time, first step to last end, that was spent in training and validation steps.

    A trial in a lane has its share of the time of its place.
    """
    trained_s = sum(record.training_s for record in ledger.records.values())
    return trained_s / (places * search_s) if search_s > 0 else 0.0


def trial_counts(ledger: Ledger) -> dict[str, int]:
    """`trials` of the summary."""
    return {
        "total": ledger.count() - ledger.count(Status.INFEASIBLE),
        "completed": ledger.count(Status.COMPLETED),
        "paused": ledger.count(Status.PAUSED),
        "stopped": ledger.count(Status.STOPPED),
        "interrupted": ledger.count(Status.INTERRUPTED),
        "failed": ledger.count(Status.FAILED),
        "infeasible": ledger.count(Status.INFEASIBLE),
    }


def effort(
    ledger: Ledger, clock: Clock, places: int, lanes: int, rungs: Sequence[Rung], ended_by: Reason | None
) -> dict[str, Any]:
    """What the search has cost, why it ended, and what its rungs were worth."""
    ended = sum(count for name, count in trial_counts(ledger).items() if name in ("completed", "stopped", "failed"))
    return {
        "trials": trial_counts(ledger),
        "epochs_trained": sum(record.epochs for record in ledger.records.values()),
        "concurrent_trials": places * lanes,
        "lanes": lanes,
        "time": {name: round(value, 3) for name, value in asdict(clock).items()},
        "trials_per_hour": 3600 * ended / clock.search_s if clock.search_s else 0.0,
        "training_share": training_share(ledger, places, clock.search_s),
        "ended_by": None if ended_by is None else str(ended_by),
        "rungs": rung_report(rungs, ledger),
    }


def effort_beside(ledger: Ledger, ended_by: Reason | None) -> dict[str, Any]:
    """`baseline_search` of the summary."""
    return {
        "trials": trial_counts(ledger),
        "epochs_trained": sum(record.epochs for record in ledger.records.values()),
        "ended_by": None if ended_by is None else str(ended_by),
    }


def best_of(winner: Candidate, examination: Examination, cost: dict[str, Any]) -> dict[str, Any]:
    """`best` of the summary; `cost` has parameters, multiply_adds, latency_ms and bytes."""
    return {
        "trial": winner.source.number,
        "config": tables_of(winner.config),
        **cost,
        "validation": validation_of(winner),
        "test": test_of(examination.by_candidate[winner.name]),
    }


def teacher_of(teacher: LoadedTeacher, examination: Examination, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """`teacher` of the summary: of several, of the winner's mix, and each member's own."""
    told = {"test": {"accuracy": examination.teacher_accuracy}, **_cost_of(teacher, input_shape), **teacher.record}
    if teacher.mix is None:
        return told
    return told | {
        "members": {
            name: {
                "weight": teacher.mix.weights.get(name, 0.0),
                "test": {"accuracy": examination.member_accuracies[name]},
                **_cost_of(member, input_shape),
                **member.record,
            }
            for name, member in teacher.members.items()
        }
    }


def _cost_of(teacher: LoadedTeacher, input_shape: tuple[int, ...]) -> dict[str, int]:
    module = teacher.module
    return {
        "parameters": teacher.parameters,
        "multiply_adds": 0 if module is None else multiply_adds(module, input_shape),
    }


def baseline_of(baseline: Candidate, winner: Candidate, examination: Examination, ledger: Ledger) -> dict[str, Any]:
    """A baseline of the summary: how it did on test; of one that was searched for, what it is too."""
    test = {"test": test_of(examination.by_candidate[baseline.name])}
    if baseline.source is winner.source:
        return test
    return {
        "trial": baseline.source.number,
        "config": tables_of(baseline.config),
        "parameters": baseline.source.parameters,
        "multiply_adds": baseline.source.multiply_adds,
        "validation": validation_of(baseline),
        **test,
        "selection_bias": selection_bias(baseline, ledger.objective, ledger.sign),
    }


def validation_of(candidate: Candidate) -> dict[str, float]:
    """`validation` of one configuration: means over its seeds."""
    return {
        "accuracy": candidate.mean("val/accuracy"),
        "loss": candidate.mean("val/loss"),
        "worst_class_accuracy": candidate.mean("val/worst_class_accuracy"),
        "gap": candidate.mean("gap/accuracy"),
    }


def test_of(examined: Examined) -> dict[str, Any]:
    """`test` of one configuration."""
    return {
        "accuracy": {**asdict(examined.accuracy), "seeds": len(examined.seeds)},
        "nll": examined.nll,
        "ece": examined.ece,
        "brier": examined.brier,
        "worst_class_accuracy": examined.worst_class_accuracy,
        "nll_scaled": examined.nll_scaled,
        "ece_scaled": examined.ece_scaled,
        "scaling_temperature": examined.scaling_temperature,
        "agreement": examined.agreement,
        "kl_to_teacher": examined.kl_to_teacher,
        "corrupted_accuracy": examined.corrupted_accuracy,
        "by_corruption": examined.by_corruption,
    }


def selection_bias(winner: Candidate, objective: str, sign: int) -> float:
    """By how much the search's value of the winner was better than the mean of its re-trainings."""
    return sign * (winner.source.last[objective] - winner.mean(objective))


def row_of(record: TrialRecord) -> dict[str, Any]:
    """A trial's row in `trials.parquet`."""
    numbers = {name: value for name, value in record.last.items() if name != "epoch" and not name.startswith("time/")}
    return {
        "number": record.number,
        "trial": record.trial_id,
        "status": str(record.status),
        "rung": record.rung,
        "epochs": record.epochs,
        "seconds": None if record.ended_s is None else record.ended_s - record.started_s,
        "started_s": record.started_s,
        "first_step_s": record.reports[0]["time/began_s"] if record.reports else None,
        "ended_s": record.ended_s,
        "training_s": record.training_s,
        "parameters": record.parameters,
        "multiply_adds": record.multiply_adds,
        **({} if record.latency_ms is None else {"latency_ms": record.latency_ms}),
        "message": record.message,
        **numbers,
        **{f"config/{name}": value for name, value in record.values.items()},
    }
