"""The verdict in sentences, from `summary.json` alone: for the model card, the report and the end of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill_tune.config.messages import listed

BASELINES = {
    "no_teacher": "the same student without a teacher",
    "default_distillation": "the same student with default distillation",
    "searched_no_teacher": "the best student of an equal search without a teacher",
}
_LABELS_ALONE = "the same student with labels alone"
"""What `no_teacher` is to a winner that has learned from no teacher either."""
_BESIDE_TERMS = {
    "weights": "it began with the teacher's weights",
    "norm": "the norm of its weights was limited by the teacher's",
}
"""What `best.from_teacher` may have besides the terms of a loss."""

_FLATTERED = (
    "It is judged by the seeds that chose it, which flatters it: too few of its trainings in further seeds finished."
)
_HELD_FIXED = (
    "The interval against the search without a teacher covers the luck of seeds and of test samples. The trials that "
    "were drawn, the split, the labelled rows and the teacher are held fixed, so another pair of searches may differ "
    "by more."
)


def baseline_in_words(name: str, summary: Mapping[str, Any]) -> str:
    """What the winner is compared with: having no teacher sets `no_teacher` apart only if the winner had one."""
    had = had_from_teacher(summary)
    if name != "no_teacher" or "terms" in had:
        return BASELINES[name]
    return f"{_LABELS_ALONE} and nothing of the teacher" if had else _LABELS_ALONE


def had_from_teacher(summary: Mapping[str, Any]) -> list[str]:
    """`best.from_teacher`, which summaries from before 2026-11-29 do not record."""
    found: list[str] = summary.get("best", {}).get("from_teacher", ["terms"])
    return found


def verdict_sentences(summary: dict[str, Any]) -> list[str]:
    """One sentence per baseline."""
    return [
        f"{found['word']}{' against' * (found['word'] == 'INCONCLUSIVE')} {baseline_in_words(name, summary)}: "
        f"{100 * found['difference']:+.2f} points of test accuracy "
        f"(95 % interval {100 * found['low']:+.2f} to {100 * found['high']:+.2f}{_over_fewer(found, summary)})."
        for name, found in summary["verdict"].items()
    ]


def _over_fewer(found: dict[str, Any], summary: dict[str, Any]) -> str:
    """The number of shared seeds, if it is not the winner's."""
    of_winner = summary["best"]["test"]["accuracy"]["seeds"]
    shared = found.get("seeds", of_winner)
    return "" if shared == of_winner else f", over the {shared} seeds in which both finished"


def evidence_sentences(summary: dict[str, Any]) -> list[str]:
    """The evidence behind the verdicts: what taught the winner, corrections, other tests, the winner's curse."""
    distorted = kept_in_words(summary)
    return [
        *_teaching_sentences(summary),
        *p_value_sentences(summary),
        *_mcnemar_sentences(summary),
        *_bootstrap_sentences(summary),
        *([_HELD_FIXED] if "searched_no_teacher" in summary["verdict"] else []),
        *([f"Default distillation {distorted}."] if distorted else []),
        *choice_sentences(summary),
        curse_sentence(summary),
        *([_FLATTERED] if summary["flattered"] else []),
        *_failure_sentences(summary),
    ]


def _teaching_sentences(summary: dict[str, Any]) -> list[str]:
    """That the winner has learned from no teacher; none if it has."""
    had = had_from_teacher(summary)
    if "terms" in had:
        return []
    besides = " and ".join(told for name, told in _BESIDE_TERMS.items() if name in had)
    return [f"This student learned from no teacher{besides and f', but {besides}'}."]


def kept_in_words(summary: dict[str, Any]) -> str:
    """What the cache took from default distillation, if the winner is compared with it; empty if nothing."""
    kept = summary["teacher"].get("kept_logits")
    if kept is None or "default_distillation" not in summary["verdict"]:
        return ""
    return f"learned from the {kept:,} largest logits only, which distorts T = 4; teacher.keep = 'all' removes this"


def _failure_sentences(summary: dict[str, Any]) -> list[str]:
    """What failed in the confirmation, which summaries from before 2026-11-29 do not record."""
    failed = [f"{name.replace('_', ' ')} in {count}" for name, count in summary.get("failed_seeds", {}).items()]
    told = [f"Some trainings of the confirmation failed; seeds that failed: {', '.join(failed)}."]
    missing = [baseline_in_words(name, summary) for name in summary.get("not_compared", [])]
    return [
        *(told if failed else []),
        *([f"Not compared, because too few seeds are shared with the winner: {listed(missing)}."] if missing else []),
    ]


def p_value_sentences(summary: dict[str, Any]) -> list[str]:
    """One sentence on all comparisons together; none if there are fewer than two, since the intervals say it all."""
    found = summary["verdict"]
    if _num_comparisons(summary) < 2:
        return []
    told = _by_baseline({name: _p_value(each["interval_p_value_holm"]) for name, each in found.items()})
    again = "".join(
        f"; {_short(name)} is the same training as {_short(each['same_as'])}"
        for name, each in found.items()
        if each.get("same_as")
    )
    return [
        f"Corrected for {_num_comparisons(summary)} comparisons (Holm{again}): {told}. The verdicts above are not "
        "corrected."
    ]


def _num_comparisons(summary: dict[str, Any]) -> int:
    """Baselines that are the same training are one comparison."""
    return sum(not each.get("same_as") for each in summary["verdict"].values())


def _mcnemar_sentences(summary: dict[str, Any]) -> list[str]:
    told = _by_baseline({name: _p_value(each["p_value_holm"]) for name, each in summary["verdict"].items()})
    corrected = ", corrected likewise" if _num_comparisons(summary) > 1 else ""
    return [f"McNemar's exact test, twice the median over seeds{corrected}: {told}."] if told else []


def _bootstrap_sentences(summary: dict[str, Any]) -> list[str]:
    ends = {
        name: f"{100 * each['bootstrap_low']:+.2f} to {100 * each['bootstrap_high']:+.2f}"
        for name, each in summary["verdict"].items()
    }
    return [f"95 % interval by bootstrap over seeds and samples: {_by_baseline(ends)} points."] if ends else []


def choice_sentences(summary: dict[str, Any]) -> list[str]:
    """Why the winner is not the trial that looked best in the search; none if it is, or if it is not recorded."""
    looked, best = summary.get("looked_best"), summary["best"]
    found = {each["trial"]: each for each in summary.get("candidates", [])}
    if looked in (None, best["trial"]) or best["trial"] not in found:
        return []
    chosen, other = found[best["trial"]], found.get(looked)
    objective = best["config"]["search"]["objectives"][0]
    mean, others = f"{chosen['mean']:.4f}", "finished in too few of them"
    if other is not None and _decided_by_seeds(other, chosen, summary):
        others = f"finished in only {other['seeds']} of them"
    elif other is not None:
        mean, others = _means_told_apart(chosen["mean"], other["mean"])
    return [
        f"Trial {best['trial']:04d} was chosen by its mean {objective} in {chosen['seeds']} fresh seeds, {mean}; trial "
        f"{looked:04d}, which looked best in the search, {others}."
    ]


def _decided_by_seeds(other: Mapping[str, Any], chosen: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
    """Whether the other candidate ranked behind for its failures, as `tuning.verdict.confirmation` decides."""
    if len(summary["best"]["config"]["search"]["objectives"]) == 1:
        return bool(other["seeds"] < chosen["seeds"])
    seeds = other["seeds"] + summary.get("failed_seeds", {}).get(f"trial-{other['trial']:04d}", 0)
    return bool(2 * other["seeds"] <= seeds < 2 * chosen["seeds"])


def _means_told_apart(chosen: float, other: float) -> tuple[str, str]:
    """Both means in as many decimals as tell them apart; candidates with equal ones are ranked by val/loss."""
    told = ((f"{chosen:.{decimals}f}", f"{other:.{decimals}f}") for decimals in (4, 6, 9, 17))
    mean, others = next((each for each in told if each[0] != each[1]), (f"{chosen:.4f}",) * 2)
    return mean, f"had {'the same and a higher mean val/loss' if chosen == other else others}"


def curse_sentence(summary: dict[str, Any]) -> str:
    """By how much the winner looked better in the search than in fresh seeds, since it was selected for its luck."""
    best, bias, epochs = summary["best"], summary["selection_bias"], summary["selection_bias_epochs"]
    search = best["config"]["search"]
    objective, of_all = search["objectives"][0], f"{epochs} of {search['max_epochs']} epochs"
    if bias is None:
        return f"Winner's curse: unknown, for the winner had trained {of_all} in the search."
    size, unit = (f"{abs(bias):.4f}", "nats") if objective.endswith("loss") else (f"{abs(100 * bias):.2f}", "points")
    what = f"{objective} of the winner" + (f" after {of_all}" if epochs < search["max_epochs"] else "")
    again = f"on average in {best['test']['accuracy']['seeds']} fresh seeds"
    if not float(size):
        return f"No winner's curse: {what} looked as good in the search as {again}."
    if bias < 0:
        return f"No winner's curse: {what} was better {again} than in the search, by {size} {unit}."
    return f"Winner's curse: {what} looked better in the search than {again}, by {size} {unit}."


def _by_baseline(told: dict[str, str]) -> str:
    return ", ".join(f"{_short(name)} {each}" for name, each in told.items())


def _short(name: str) -> str:
    return name.replace("_", " ")


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
