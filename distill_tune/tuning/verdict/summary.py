"""`summary.json`: the whole search in numbers, read from its ledger, its confirmation and its examination."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from distill_tune.config import Config, Space, tables_of
from distill_tune.distillation.initialisation import Initialisation
from distill_tune.distillation.training.objective import Objective
from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.schedulers import Rung
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.clock import Clock, training_share
from distill_tune.tuning.verdict.confirmation import Confirmation
from distill_tune.tuning.verdict.front import candidates
from distill_tune.tuning.verdict.rungs import rung_report

if TYPE_CHECKING:
    from distill_tune.tuning.verdict.examination import Examination
    from distill_tune.tuning.verdict.marks import Examined


def trial_counts(ledger: Ledger) -> dict[str, int]:
    """`trials` of the summary."""
    return {
        "total": ledger.num_feasible,
        "completed": ledger.count(Status.COMPLETED),
        "paused": ledger.count(Status.PAUSED),
        "stopped": ledger.count(Status.STOPPED),
        "interrupted": ledger.count(Status.INTERRUPTED),
        "failed": ledger.count(Status.FAILED),
        "infeasible": ledger.count(Status.INFEASIBLE),
    }


def effort(
    ledger: Ledger,
    clock: Clock,
    places: int,
    lanes: int,
    rungs: Sequence[Rung],
    ended_by: Reason | None,
    place_s: float,
) -> dict[str, Any]:
    """What the search cost, why it ended, and how useful its rungs were; `place_s` as in `training_share`."""
    ended = sum(count for name, count in trial_counts(ledger).items() if name in ("completed", "stopped", "failed"))
    return {
        "trials": trial_counts(ledger),
        "epochs_trained": sum(record.epochs for record in ledger.records.values()),
        "concurrent_trials": places * lanes,
        "lanes": lanes,
        "time": {name: round(value, 3) for name, value in asdict(clock).items()},
        "trials_per_hour": 3600 * ended / clock.search_s if clock.search_s else 0.0,
        "training_share": training_share(ledger, place_s),
        "ended_by": None if ended_by is None else str(ended_by),
        "rungs": rung_report(rungs, ledger),
    }


def baseline_effort(ledger: Ledger, ended_by: Reason | None) -> dict[str, Any]:
    """`baseline_search` of the summary."""
    return {
        "trials": trial_counts(ledger),
        "epochs_trained": sum(record.epochs for record in ledger.records.values()),
        "ended_by": None if ended_by is None else str(ended_by),
    }


def best_of(winner: Candidate, seed: int, examination: Examination, cost: dict[str, Any]) -> dict[str, Any]:
    """`best` of the summary, with the student of `seed`; `cost` holds its size and speed."""
    return {
        "trial": winner.source.number,
        "seed": seed,
        "config": tables_of(winner.config),
        "from_teacher": from_teacher(winner.config),
        **cost,
        "validation": validation_of(winner),
        "test": test_of(examination.by_candidate[winner.name]),
    }


def from_teacher(config: Config) -> list[str]:
    """`best.from_teacher`: what a student has from its teacher and its baseline `no_teacher` has not."""
    has = {
        "terms": Objective(config).uses_teacher,
        "weights": Initialisation.of(config.student).needs_teacher,
        "norm": config.regularization.norm_ratio is not None,
    }
    return [name for name, is_so in has.items() if is_so]


def failures(confirmation: Confirmation) -> dict[str, Any]:
    """`failed_seeds` and `not_compared` of the summary: what did not finish in the confirmation."""
    failed = Counter[str]()
    for each in confirmation.failed:  # the winner may occur twice: for the seeds that chose it and the further ones
        failed[each.name] += len(each.seeds) - len(each.reports)
    return {"failed_seeds": dict(failed), "not_compared": [each.name for each in confirmation.left_out]}


def baseline_of(baseline: Candidate, winner: Candidate, examination: Examination, ledger: Ledger) -> dict[str, Any]:
    """A baseline of the summary: how it did on test and, if it was searched for, its configuration."""
    test = {"test": test_of(examination.by_candidate[baseline.name])}
    if baseline.source is winner.source:
        return test
    return {
        "trial": baseline.source.number,
        "config": tables_of(baseline.config),
        "parameters": baseline.source.parameters,
        "multiply_adds": baseline.source.multiply_adds,
        "latency_ms": baseline.source.latency_ms,
        "validation": validation_of(baseline),
        **test,
        **selection_bias(baseline, ledger.objective, ledger.sign),
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
        "not_finite": examined.not_finite,
        "agreement": examined.agreement,
        "kl_to_teacher": examined.kl_to_teacher,
        "corrupted_accuracy": examined.corrupted_accuracy,
        "by_corruption": examined.by_corruption,
    }


def selection_bias(winner: Candidate, objective: str, sign: int) -> dict[str, Any]:
    """`selection_bias` and `selection_bias_epochs` of the summary.

    How much better the search's value of the winner was than the mean of its re-trainings after the same number of
    epochs: otherwise a trial that was stopped early would look worse merely for having trained less.
    """
    epochs = winner.source.epochs
    is_whole = epochs >= winner.config.search.max_epochs
    again = winner.mean(objective) if is_whole else winner.mean_after(epochs, objective)
    bias = None if again is None else sign * (winner.source.last[objective] - again)
    return {"selection_bias": bias, "selection_bias_epochs": epochs}


def choice(confirmation: Confirmation, ledger: Ledger) -> dict[str, Any]:
    """`looked_best` and `candidates` of the summary: the best of the search, and what the winner was chosen by."""
    best = next(iter(candidates(ledger)), None)  # of equals by the first objective, one that none dominates
    return {
        "looked_best": None if best is None else best.number,
        "candidates": [
            {"trial": each.source.number, "seeds": len(each.reports), "mean": each.mean(ledger.objective)}
            for each in confirmation.candidates
        ],
    }


def row_of(record: TrialRecord) -> dict[str, Any]:
    """A trial's row in `trials.parquet`."""
    numbers = {name: value for name, value in record.last.items() if name != "epoch" and not name.startswith("time/")}
    is_built = record.parameters > 0  # a student that can be trained has some
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
        "parameters": record.parameters if is_built else None,
        "multiply_adds": record.multiply_adds if is_built else None,
        **({} if record.latency_ms is None else {"latency_ms": record.latency_ms}),
        "message": record.message or None,
        **numbers,
        **{f"config/{name}": value for name, value in record.values.items()},
    }


def interrupted(ledger: Ledger, space: Space) -> dict[str, Any]:
    """The summary of a search that its user ended: the best trial so far, which nothing has confirmed."""
    best = ledger.incumbent
    if best is None:
        return {"status": "interrupted", "best": {}}
    validation = {name.removeprefix("val/"): value for name, value in best.last.items() if name.startswith("val/")}
    known = {"trial": best.number, "config": tables_of(space.at(best.values)), "validation": validation}
    return {"status": "interrupted", "best": known}


def failed(message: str) -> dict[str, Any]:
    """The summary of a search with no usable result."""
    return {"status": "failed", "message": message, "best": {}}
