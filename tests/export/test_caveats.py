"""What a result says where its verdicts say little, and why its winner is not the trial that looked best."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from summaries import TWO, summary, verdict

from distill_tune.export.caveats import caveat_sentences
from distill_tune.export.model_card import model_card
from distill_tune.export.verdict_words import choice_sentences
from distill_tune.tuning.showing.final_report import final_report


def of_seeds(count: int, configured: int = 2) -> dict[str, Any]:
    found = summary({name: verdict() | {"seeds": count} for name in TWO})
    found["best"]["config"]["confirm"] = {"seeds": configured}
    found["best"]["test"] = found["best"]["test"] | {"accuracy": found["best"]["test"]["accuracy"] | {"seeds": count}}
    return found


def terminal(found: dict[str, Any], folder: Path) -> list[str]:
    console = Console(record=True, width=80, force_terminal=False)
    final_report(console, found, folder)
    return console.export_text().splitlines()


@pytest.mark.parametrize("count", [2, 3])
def test_verdicts_over_two_or_three_seeds_are_said_to_say_little_and_what_helps(count: int, tmp_path: Path) -> None:
    said = f"Only {count} seeds: intervals over so few say little; raise confirm.seeds."
    assert said in model_card(of_seeds(count, configured=count)).splitlines()
    assert said in terminal(of_seeds(count, configured=count), tmp_path)


def test_where_time_or_failures_left_so_few_seeds_it_is_no_cure_to_ask_for_more() -> None:
    assert caveat_sentences(of_seeds(2, configured=5)) == ["Only 2 seeds: intervals over so few say little."]
    older = of_seeds(2)
    del older["best"]["config"]["confirm"]
    assert caveat_sentences(older) == ["Only 2 seeds: intervals over so few say little."], "it is not known"


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
        "The teacher was no better on validation (33.33%) than always the commonest class (33.33%): its weights, the "
        "order of its classes, or what it is given, may be wrong, and a lead over distillation from it says little."
    )
    assert said in model_card(found).splitlines()
    assert said in terminal(found, tmp_path)
    found["teacher"]["validation"]["accuracy"] = 0.3334
    assert caveat_sentences(found) == []


@pytest.mark.parametrize(
    ("teacher", "doubt"),
    [
        ({"multiply_adds": None}, "its weights, the order of its classes, or what it is given, may be wrong, and"),
        (
            {"multiply_adds": 0},
            "the order of its classes, or the order of its rows (it must be the data's), may be wrong, and",
        ),
        ({"multiply_adds": 9, "training": {"device": "cpu"}}, "it may have trained too briefly, and"),
    ],
    ids=["an ONNX model", "a table of logits", "trained here"],
)
def test_what_is_doubted_of_a_teacher_is_what_can_be_wrong_with_its_kind(teacher: dict[str, Any], doubt: str) -> None:
    found = summary(TWO)
    found["teacher"] |= {**teacher, "validation": {"accuracy": 0.1, "commonest_class": 0.25}}
    (sentence,) = caveat_sentences(found)
    assert f"commonest class (25.00%): {doubt} a lead over" in sentence


def test_of_several_teachers_all_that_were_prepared_are_told_of_by_name() -> None:
    """Default distillation learns from the mix in the file, which may have those that the winner's has not."""
    found, useless = summary(TWO), {"accuracy": 0.1, "commonest_class": 0.25}
    found["teacher"]["members"] = {
        "old": {"weight": 0.5, "validation": useless},
        "good": {"weight": 0.5, "validation": {"accuracy": 0.9, "commonest_class": 0.25}},
        "not in the winner's mix": {"weight": 0.0, "validation": useless},
        "in no mix": {"weight": 0.0},
    }
    old, other = caveat_sentences(found)
    assert old.startswith("The teacher old was no better on validation (10.00%) than always the commonest class")
    assert other.startswith("The teacher not in the winner's mix was no better on validation (10.00%)")


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


@pytest.mark.parametrize(
    ("seeds", "failed", "had"),
    [(4, 1, "had 0.6889"), (3, 2, "had 0.6889"), (2, 3, "finished in only 2 of them"), (2, 2, "finished in only 2")],
)
def test_with_several_objectives_failures_in_fewer_than_half_of_the_seeds_are_no_reason(
    seeds: int, failed: int, had: str
) -> None:
    candidates = [{"trial": 0, "seeds": seeds, "mean": 0.68894}, {"trial": 7, "seeds": seeds + failed, "mean": 0.70561}]
    found = summary(TWO) | {"looked_best": 0, "candidates": candidates, "failed_seeds": {"trial-0000": failed}}
    found["best"]["config"]["search"]["objectives"].append("parameters")
    (sentence,) = choice_sentences(found)
    assert f"which looked best in the search, {had}" in sentence


def test_with_several_objectives_they_are_none_where_the_winner_failed_as_often() -> None:
    candidates = [{"trial": 0, "seeds": 2, "mean": 0.68894}, {"trial": 7, "seeds": 3, "mean": 0.70561}]
    found = summary(TWO) | {"looked_best": 0, "candidates": candidates}
    found |= {"failed_seeds": {"trial-0000": 4, "trial-0007": 3}}
    found["best"]["config"]["search"]["objectives"].append("parameters")
    assert choice_sentences(found)[0].endswith("which looked best in the search, had 0.6889.")


@pytest.mark.parametrize(
    ("chosen", "other", "told"),
    [
        (
            0.9694,
            0.9694,
            "0.9694; trial 0000, which looked best in the search, had the same and a higher mean val/loss.",
        ),
        (0.96944, 0.96938, "0.969440; trial 0000, which looked best in the search, had 0.969380."),
        (
            0.9694 + 1e-16,
            0.9694,
            "0.96940000000000015; trial 0000, which looked best in the search, had 0.96940000000000004.",
        ),
    ],
    ids=["equal", "equal in four decimals", "hardly apart"],
)
def test_means_that_look_equal_are_told_apart_or_the_loss_that_decided_is_named(
    chosen: float, other: float, told: str
) -> None:
    candidates = [{"trial": 0, "seeds": 2, "mean": other}, {"trial": 7, "seeds": 2, "mean": chosen}]
    found = summary(TWO) | {"looked_best": 0, "candidates": candidates}
    assert choice_sentences(found)[0].endswith(f" in 2 fresh seeds, {told}")


@pytest.mark.parametrize("known", [{}, {"looked_best": 7, "candidates": [{"trial": 7, "seeds": 2, "mean": 0.7}]}])
def test_a_winner_that_looked_best_too_or_of_an_older_summary_needs_no_reason(known: dict[str, Any]) -> None:
    assert choice_sentences(summary(TWO) | known) == []
