"""What the verdict's sentences admit: what taught the winner, what is held fixed, and what the comparisons share."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from summaries import THREE, TWO, summary, verdict

from distill_tune.export.model_card import model_card
from distill_tune.export.verdict_words import evidence_sentences, p_value_sentences, verdict_sentences
from distill_tune.tuning.showing.final_report import final_report


def of_winner(has: list[str]) -> dict[str, Any]:
    """The summary of a winner that has this from its teacher."""
    found = summary(TWO)
    found["best"]["from_teacher"] = has
    return found


@pytest.mark.parametrize(
    ("has", "baseline", "taught"),
    [
        ([], "labels alone", "This student learned from no teacher."),
        (
            ["weights"],
            "labels alone and nothing of the teacher",
            "This student learned from no teacher, but it began with the teacher's weights.",
        ),
        (
            ["weights", "norm"],
            "labels alone and nothing of the teacher",
            "This student learned from no teacher, but it began with the teacher's weights and the norm of its weights "
            "was limited by the teacher's.",
        ),
    ],
    ids=str,
)
def test_a_winner_that_learned_from_no_teacher_is_not_set_against_one_for_having_none(
    has: list[str], baseline: str, taught: str, tmp_path: Path
) -> None:
    found, console = of_winner(has), Console(record=True, width=80, force_terminal=False)
    card = model_card(found)
    assert f"\nBEATS the same student with {baseline}: +0.89 points" in card
    assert f"\n| the same student with {baseline} | 97.00%" in card
    assert f"\n- {taught}\n" in card
    assert "without a teacher" not in card
    final_report(console, found, tmp_path)
    assert f"\nBEATS the same student with {baseline}: +0.89 points" in console.export_text()


@pytest.mark.parametrize("has", [["terms"], ["terms", "weights"]], ids=str)
def test_a_winner_that_learned_from_a_teacher_is_set_against_the_same_student_without_one(has: list[str]) -> None:
    card = model_card(of_winner(has))
    assert "\nBEATS the same student without a teacher: +0.89 points" in card
    assert "learned from no teacher" not in card


def test_a_summary_that_does_not_record_what_taught_the_winner_is_read_as_before() -> None:
    older = summary(TWO)
    del older["best"]["from_teacher"], older["teacher"]["kept_logits"]
    older["verdict"] = {
        name: {key: value for key, value in each.items() if key not in ("seeds", "same_as")}
        for name, each in TWO.items()
    }
    assert model_card(older) == model_card(summary(TWO))


def test_a_comparison_of_two_searches_says_that_another_pair_may_differ_by_more() -> None:
    said = "are held fixed, so another pair of searches may differ by more."
    assert [line.endswith(said) for line in evidence_sentences(summary(THREE))].count(True) == 1
    assert said in model_card(summary(THREE))
    assert said not in model_card(summary(TWO))


def test_baselines_that_are_one_training_are_one_comparison() -> None:
    found = summary({**THREE, "searched_no_teacher": verdict() | {"same_as": "no_teacher"}})
    assert p_value_sentences(found) == [
        "Corrected for 2 comparisons (Holm; searched no teacher is the same training as no teacher): no teacher "
        "p = 0.041, default distillation p = 0.2, searched no teacher p = 0.041. The verdicts above are not corrected."
    ]
    assert "Corrected for 3 comparisons (Holm): " in p_value_sentences(summary(THREE))[0]
    del found["verdict"]["default_distillation"]
    assert p_value_sentences(found) == []
    assert "corrected likewise" not in model_card(found)


def test_a_comparison_over_fewer_seeds_than_the_winners_says_so() -> None:
    one, other = verdict_sentences(summary({**TWO, "no_teacher": verdict() | {"seeds": 4}}))
    assert one.endswith("(95 % interval +0.03 to +1.75, over the 4 seeds in which both finished).")
    assert other.endswith("(95 % interval +0.03 to +1.75).")


def test_default_distillation_from_the_largest_logits_alone_is_said_to_be_distorted() -> None:
    found = summary(TWO)
    found["teacher"]["kept_logits"] = 100
    said = (
        "- Default distillation learned from the 100 largest logits only, which distorts T = 4; teacher.keep = 'all' "
        "removes this."
    )
    assert said in model_card(found).splitlines()
    assert "largest logits" not in model_card(summary(TWO))
    del found["verdict"]["default_distillation"]
    assert "largest logits" not in model_card(found)
