"""What a page says beside its verdict, and the latency of its students where that matters."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from reported import Read

from distill_tune.tuning.reporting.page import page_of
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.reporting.tables import students

ResultIn = Callable[[str], Result]


@pytest.fixture
def complete(result_in: ResultIn) -> Result:
    """A finished search, whose summary a test may change."""
    found = result_in("complete")
    return replace(found, summary=deepcopy(found.summary))


def test_a_page_says_beside_its_verdict_that_it_says_little_and_why_another_trial_won(complete: Result) -> None:
    before, found = page_of(complete), complete.summary
    assert 'class="word caveat"' not in before
    found["best"]["test"]["accuracy"]["seeds"] = found["best"]["config"].setdefault("confirm", {})["seeds"] = 2
    found["teacher"]["validation"] = {"accuracy": 0.25, "commonest_class": 0.25}
    number = found["best"]["trial"]
    found |= {"looked_best": number + 1, "candidates": [{"trial": number, "seeds": 2, "mean": 0.7}]}
    page = page_of(complete)
    assert page.count('class="word caveat"') == 2
    text = " ".join(Read(page).text.split())
    assert "Only 2 seeds: intervals over so few say little; raise confirm.seeds. The teacher was no better on" in text
    assert f"trial {number + 1:04d}, which looked best in the search, finished in too few of them." in text


def with_latency(summary: dict[str, Any], **config: Any) -> None:
    summary["best"]["config"] |= config
    summary["baselines"]["searched_no_teacher"] = {
        **summary["baselines"]["no_teacher"],
        "trial": 3,
        "parameters": 80,
        "latency_ms": 0.0456,
    }


@pytest.mark.parametrize(
    "config",
    [
        {"limits": {"max_latency_ms": 0.3}},
        {"search": {"objectives": ["val/accuracy", "latency_ms"], "max_epochs": 9}},
    ],
    ids=["a limit", "an objective"],
)
def test_a_latency_that_is_limited_or_an_objective_stands_in_the_table_of_students(
    complete: Result, config: dict[str, Any]
) -> None:
    with_latency(complete.summary, **config)
    table = students(complete)
    assert table is not None
    assert table.head[-1] == "latency, ms"
    assert [row[-1] for row in table.rows] == ["0.030", "0.030", "0.030", "0.046", "-"]
    del complete.summary["baselines"]["searched_no_teacher"]["latency_ms"]
    older = students(complete)
    assert older is not None
    assert older.rows[-2][-1] == "-", "an older summary does not say it, and it is not the winner's"


def test_a_latency_that_nobody_asked_for_does_not(complete: Result) -> None:
    with_latency(complete.summary, limits={"max_parameters": 500})
    table = students(complete)
    assert table is not None
    assert table.head[-1] == "parameters"
