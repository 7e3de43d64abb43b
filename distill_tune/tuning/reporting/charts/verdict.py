"""The verdict as charts: accuracies on test, and the winner's difference to each baseline with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill_tune.export.verdict_words import baseline_in_words
from distill_tune.tuning.reporting.charts._base import (
    BETTER,
    FAINT,
    GRID,
    WORSE,
    Chart,
    axis,
    dotted_at,
    students_of,
    with_intervals,
)
from distill_tune.tuning.reporting.result import Result

_ABOVE, _BELOW = 0.6, 0.7
"""Room above an axis's first row, for a word, and how far before the row after its last one it ends."""
_BESIDE = 0.35
"""Room for half a word beside its dot, as a fraction of what the intervals span: half of a chart on a narrow page."""
_AT_ENDS = 0.05
"""Room beyond the outermost ends, likewise: they are drawn as whiskers, which an axis would cut."""
_CARD = "#fff"
"""What is behind a chart (`base.html.jinja`)."""
_OVER = 16
"""Pixels from a dot to its word."""
_OF_WORDS = {"BEATS": BETTER, "DOES NOT BEAT": WORSE}


def accuracies(result: Result) -> Chart | None:
    """Test accuracy of the winner, of its baselines and of the teacher."""
    summary = result.summary
    if "verdict" not in summary:
        return None
    students = students_of(summary)
    found = [(name, student["test"]["accuracy"]) for name, _, student in students]
    of_winner = found[0][1]["seeds"]
    but = ", unless said otherwise," if any(each["seeds"] != of_winner for _, each in found) else ""
    points = with_intervals(
        [_broken(f"{name}{_in_seeds(each['seeds'], of_winner)}") for name, each in found],
        [each["mean"] for _, each in found],
        [(each["low"], each["high"]) for _, each in found],
        [colour for _, colour, _ in students],
        "%{x:.2%}",
    )
    teacher = summary["teacher"]["test"]["accuracy"]
    shapes = [] if teacher is None else [dotted_at(teacher)]
    notes = [] if teacher is None else [_note(teacher, f"teacher {teacher:.2%}")]
    return Chart(
        "Test accuracy",
        f"Mean and 95 % interval over {of_winner} seeds{but} and the test samples; the dotted line is the teacher.",
        [points],
        {
            "xaxis": axis(tickformat=".4~%"),
            "yaxis": axis(autorange="reversed"),
            "shapes": shapes,
            "annotations": notes,
            "showlegend": False,
        },
        height=110 + 60 * len(found),
    )


def differences(result: Result) -> Chart | None:
    """The winner's lead over each baseline, in points."""
    verdict = result.summary.get("verdict")
    if not verdict:
        return None
    found, of_winner = list(verdict.values()), result.summary["best"]["test"]["accuracy"]["seeds"]
    points = with_intervals(
        [
            _broken(f"{baseline_in_words(name, result.summary)}{_in_seeds(each.get('seeds', of_winner), of_winner)}")
            for name, each in verdict.items()
        ],
        [100 * each["difference"] for each in found],
        [(100 * each["low"], 100 * each["high"]) for each in found],
        [_OF_WORDS.get(each["word"], FAINT) for each in found],
        "%{x:+.2f} points",
    )
    return Chart(
        "Ahead of",
        "Difference of test accuracy, pair by pair in the same seeds and samples, with its 95 % interval. An interval "
        "that contains 0 is INCONCLUSIVE: it does not prove that the two are alike.",
        [points],
        {
            "xaxis": axis(
                "points of test accuracy", zeroline=True, zerolinecolor=FAINT, zerolinewidth=2, range=_room(found)
            ),
            "yaxis": axis(range=[len(found) - _BELOW, -_ABOVE]),
            "annotations": [_word(row, 100 * each["difference"], each["word"]) for row, each in enumerate(found)],
            "showlegend": False,
        },
        height=130 + 70 * len(found),
    )


def _room(verdicts: Sequence[Mapping[str, float]]) -> list[float]:
    """The axis range, in points: all intervals and 0, with room for their ends and a word around each difference."""
    low, high = min(0.0, *(each["low"] for each in verdicts)), max(0.0, *(each["high"] for each in verdicts))
    span = (high - low) or 1.0
    low, high, beside = low - _AT_ENDS * span, high + _AT_ENDS * span, _BESIDE * span
    ends = [min(low, *(each["difference"] - beside for each in verdicts))]
    ends += [max(high, *(each["difference"] + beside for each in verdicts))]
    return [100 * end for end in ends]


def _word(row: int, place: float, word: str) -> dict[str, Any]:
    """A verdict over its dot; it hides the line of 0, which would strike it through."""
    where = {"x": place, "y": row, "yshift": _OVER, "showarrow": False}
    return {**where, "text": word, "bgcolor": _CARD, "borderpad": 0}


def _in_seeds(count: int, of_winner: int) -> str:
    """In how many seeds a baseline was trained, or shares with the winner, if this is not the winner's number."""
    return "" if count == of_winner else f" ({count} seeds)"


def _broken(name: str) -> str:
    """The name, in two lines if it is long."""
    words = name.split(" ")
    half = (len(words) + 1) // 2
    return name if len(name) < 20 else f"{' '.join(words[:half])}<br>{' '.join(words[half:])}"


def _note(value: float, text: str) -> dict[str, Any]:
    return {
        "x": value,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "text": text,
        "showarrow": False,
        "font": {"color": FAINT},
        "bgcolor": GRID,
    }
