"""Warnings that accompany a verdict: one for each thing left out or not measurable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill_tune.distillation.preparation.users_keys import table_of
from distill_tune.export.caveats import suspects
from distill_tune.export.student_folder import BEST
from distill_tune.export.verdict_words import had_from_teacher, kept_in_words
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status
from distill_tune.tuning.verdict.confirmation import Confirmation


def left_out_in_words(confirmation: Confirmation) -> list[str]:
    """A warning for each baseline that is not compared with the winner."""
    winner = confirmation.winner
    shared = {baseline.name: len(winner.seeds_shared_with(baseline)) for baseline in confirmation.left_out}
    return [
        f"warning: {name} is left out of the comparison: an interval needs two seeds that it and the winner were both "
        f"trained in, and there {'is' if count == 1 else 'are'} {count}"
        for name, count in shared.items()
    ]


def failures_in_words(confirmation: Confirmation) -> list[str]:
    """A warning for each configuration that failed in some of its seeds, and for a winner that is flattered."""
    warnings = [
        f"warning: {each.name} failed in {len(each.seeds) - len(each.reports)} of its {len(each.seeds)} seeds from "
        f"{each.seeds[0]} on"
        for each in confirmation.failed
    ]
    if confirmation.is_flattered:
        warnings.append(
            f"warning: {confirmation.winner.name} is judged by the seeds that chose it, which flatters it: in the "
            "further ones too few of its trainings came to their end"
        )
    return warnings


def refusals_in_words(ledger: Ledger) -> list[str]:
    """A warning if more students were refused than trained: most of the space is infeasible."""
    refused = ledger.with_status(Status.INFEASIBLE)
    trained = ledger.count() - len(refused)
    if len(refused) <= trained:
        return []
    return [
        f"warning: {len(refused):,} proposed students were refused, and {trained:,} trained; the last one: "
        f"{refused[-1].message.rstrip('.')}; narrow the student's ranges, or loosen the limits"
    ]


def failed_in_words(ledger: Ledger, logs: Path) -> list[str]:
    """A warning if some trials failed and others did not, with the choices that only the failed ones had.

    `logs` is the folder with their tracebacks, if there are any.
    """
    failed = ledger.with_status(Status.FAILED)
    others = [r for r in ledger.records.values() if r.status not in (Status.FAILED, Status.INFEASIBLE)]
    if not failed or not others:
        return []
    shared = [
        f"{name} {value}"
        for name, value in failed[0].values.items()
        if isinstance(value, str)
        and all(record.values.get(name) == value for record in failed)
        and not any(record.values.get(name) == value for record in others)
    ]
    culprit = f", all that had {' and '.join(shared)}" if shared else ""
    return [
        f"warning: {len(failed):,} of {ledger.num_feasible:,} trials failed{culprit}; the first said: "
        f"{failed[0].message.rstrip('.')}" + (f"; see {logs}" if logs.exists() else "")
    ]


def other_beginnings_in_words(learned: int, learned_without: int) -> list[str]:
    """A warning if a search started from more earlier trials than the search without a teacher alongside it."""
    if learned <= learned_without:
        return []
    return [
        f"warning: the search began with {learned:,} trials of others (search.start_from), the one without a teacher "
        f"with {learned_without:,}; what is said against searched_no_teacher favours the first"
    ]


def weak_teacher_in_words(summary: dict[str, Any]) -> list[str]:
    """A warning if the teacher is surely worse than the student without it, and does not help: it was trained badly."""
    teacher, alone = summary["teacher"]["test"]["accuracy"], summary["baselines"].get("no_teacher")
    if teacher is None or alone is None or (had_from_teacher(summary) and _beats_no_teacher(summary)):
        return []
    theirs = alone["test"]["accuracy"]
    if teacher >= theirs["low"]:
        return []
    each = {"": summary["teacher"], **summary["teacher"].get("members", {})}
    heard = {name: record for name, record in each.items() if record.get("weight", 1.0)}
    trained_here = next((name for name, record in heard.items() if "training" in record), None)
    way_out = (
        f"train it longer ({table_of(trained_here)}.train.epochs, and passes where rows are few), or find a better one"
        if trained_here is not None
        else f"find a better one, or check the order of its classes and {suspects(heard.values())}"
    )
    return [
        f"warning: the teacher has {teacher:.2%} on test, and the student without it {theirs['mean']:.2%}; {way_out}"
    ]


def _beats_no_teacher(summary: dict[str, Any]) -> bool:
    return bool(summary["verdict"]["no_teacher"]["word"] == "BEATS")


def kept_in_part_in_words(summary: dict[str, Any]) -> list[str]:
    """A warning if default distillation has learned from truncated logits, which flatters the winner."""
    told = kept_in_words(summary)
    return [f"warning: default_distillation {told}"] if told else []


def not_finite_in_words(summary: dict[str, Any]) -> list[str]:
    """A warning for each student, and for the teacher, with a non-finite logit on test."""
    students = {"the winner": summary["best"], **summary["baselines"]}
    counts = {name: student["test"]["not_finite"] for name, student in students.items()}
    told = [
        f"warning: {name} has a logit that is not finite for {count:.3g} test samples (mean over seeds); nll, ece, "
        "brier and kl_to_teacher take them as undecided between all classes"
        for name, count in counts.items()
        if count
    ]
    if summary["teacher"]["test"]["accuracy"] is None:
        told.append(
            "warning: the teacher has a logit that is not finite for a test sample; its accuracy, and the students' "
            "agreement and kl_to_teacher, are left out"
        )
    return told


def not_exported_in_words(summary: dict[str, Any]) -> list[str]:
    """A line for each file missing from the winner's folder, with the reason."""
    return [f"{BEST}/{file} is left out: {why}" for file, why in summary["best"]["left_out"].items()]
