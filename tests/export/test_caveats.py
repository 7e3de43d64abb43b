"""What a result says where its verdicts say little, and why its winner is not the trial that looked best."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from summaries import TWO, summary, verdict

from distill_tune.export.model_card import model_card
from distill_tune.export.verdict_words import caveat_sentences, choice_sentences
from distill_tune.tuning.showing.final_report import final_report


def of_seeds(count: int) -> dict[str, Any]:
    found = summary({name: verdict() | {"seeds": count} for name in TWO})
    found["best"]["test"] = found["best"]["test"] | {"accuracy": found["best"]["test"]["accuracy"] | {"seeds": count}}
    return found


def terminal(found: dict[str, Any], folder: Path) -> list[str]:
    console = Console(record=True, width=80, force_terminal=False)
    final_report(console, found, folder)
    return console.export_text().splitlines()


@pytest.mark.parametrize("count", [2, 3])
def test_verdicts_over_two_or_three_seeds_are_said_to_say_little_and_what_helps(count: int, tmp_path: Path) -> None:
    said = f"Only {count} seeds: intervals over so few say little; raise confirm.seeds."
    assert said in model_card(of_seeds(count)).splitlines()
    assert said in terminal(of_seeds(count), tmp_path)


def test_verdicts_over_more_seeds_and_results_without_a_verdict_are_not() -> None:
    assert caveat_sentences(of_seeds(4)) == []
    assert caveat_sentences(of_seeds(2) | {"verdict": {}}) != [], "the intervals of the accuracies are as wide"


def test_a_verdict_shared_by_fewer_seeds_than_the_winners_counts_by_these() -> None:
    found = summary({**TWO, "no_teacher": verdict() | {"seeds": 2}})
    assert caveat_sentences(found)[0].startswith("Only 2 seeds")


def test_a_teacher_that_was_no_better_than_the_commonest_class_is_told_of_beside_the_verdict(tmp_path: Path) -> None:
    found = summary(TWO)
    found["teacher"]["validation"] = {"accuracy": 0.3333, "commonest_class": 0.3333}
    said = (
        "The teacher was no better on validation (33.33%) than always the commonest class (33.33%): its weights, its "
        "inputs, or the order of its classes or rows may be wrong, and a lead over distillation from it says little."
    )
    assert said in model_card(found).splitlines()
    assert said in terminal(found, tmp_path)
    found["teacher"]["validation"]["accuracy"] = 0.3334
    assert caveat_sentences(found) == []


def test_of_several_teachers_those_that_the_winner_learned_from_are_told_of_by_name() -> None:
    found, useless = summary(TWO), {"accuracy": 0.1, "commonest_class": 0.25}
    found["teacher"]["members"] = {
        "old": {"weight": 0.5, "validation": useless},
        "good": {"weight": 0.5, "validation": {"accuracy": 0.9, "commonest_class": 0.25}},
        "unused": {"weight": 0.0, "validation": useless},
    }
    (sentence,) = caveat_sentences(found)
    assert sentence.startswith("The teacher old was no better on validation (10.00%) than always the commonest class")


@pytest.mark.parametrize(
    ("other", "had"),
    [
        ({"trial": 0, "seeds": 2, "mean": 0.68894}, "had 0.6889"),
        ({"trial": 0, "seeds": 1, "mean": 0.99}, "finished in only 1 of them"),
        ({"trial": 3, "seeds": 2, "mean": 0.5}, "finished in too few of them"),
    ],
    ids=["a lower mean", "fewer seeds", "not confirmed"],
)
def test_a_winner_that_did_not_look_best_in_the_search_is_explained(
    other: dict[str, Any], had: str, tmp_path: Path
) -> None:
    found = summary(TWO) | {"looked_best": 0, "candidates": [other, {"trial": 7, "seeds": 2, "mean": 0.70561}]}
    said = (
        "Trial 0007 was chosen by its mean val/accuracy in 2 fresh seeds, 0.7056; trial 0000, which looked best in the "
        f"search, {had}."
    )
    assert choice_sentences(found) == [said]
    assert f"- {said}" in model_card(found).splitlines()
    assert said in terminal(found, tmp_path)


@pytest.mark.parametrize("known", [{}, {"looked_best": 7, "candidates": [{"trial": 7, "seeds": 2, "mean": 0.7}]}])
def test_a_winner_that_looked_best_too_or_of_an_older_summary_needs_no_reason(known: dict[str, Any]) -> None:
    assert choice_sentences(summary(TWO) | known) == []
