"""What a page says of its comparisons: with whom, in how many seeds, and on which data."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from reported import played, summed_up

from distill_tune.tuning.reporting.charts.verdict import accuracies, differences
from distill_tune.tuning.reporting.comparison import outcomes, verdicts
from distill_tune.tuning.reporting.page import page_of
from distill_tune.tuning.reporting.result import Result

ResultIn = Callable[[str], Result]
ALONE = "the same student with labels alone"


def without_teacher(result: Result) -> Result:
    """The same result, as if its winner had learned from no teacher."""
    summary = deepcopy(result.summary)
    summary["best"]["from_teacher"] = []
    return replace(result, summary=summary)


def test_a_baseline_of_fewer_seeds_than_the_winners_says_in_how_many(result_in: ResultIn) -> None:
    result = result_in("complete")
    summary = deepcopy(result.summary)
    summary["baselines"]["no_teacher"]["test"]["accuracy"]["seeds"] = summary["verdict"]["no_teacher"]["seeds"] = 4
    for draw, names in ((accuracies, 3), (differences, 2)):
        fewer, as_many = draw(replace(result, summary=summary)), draw(result)
        assert fewer is not None
        assert as_many is not None
        assert [name.endswith("(4 seeds)") for name in fewer.data[0]["y"]] == [False] * (names - 2) + [True, False]
        assert not any("seeds" in name for name in as_many.data[0]["y"])


def test_a_number_of_seeds_is_said_of_all_only_where_all_have_it(result_in: ResultIn) -> None:
    result = result_in("complete")
    summary = deepcopy(result.summary)
    summary["baselines"]["no_teacher"]["test"]["accuracy"]["seeds"] = 4
    fewer, as_many = accuracies(replace(result, summary=summary)), accuracies(result)
    assert fewer is not None
    assert as_many is not None
    assert fewer.said.startswith("Mean and 95 % interval over 5 seeds, unless said otherwise, and the test samples; ")
    assert as_many.said.startswith("Mean and 95 % interval over 5 seeds and the test samples; ")


def test_test_data_that_was_opened_twice_is_not_called_untouched(tmp_path: Path) -> None:
    session = played(tmp_path, trials=2)
    for opened, head in ((1, "On untouched test data"), (2, "On test data")):
        summed_up(tmp_path, session, test_opened=opened)
        assert f"<h2>{head}</h2>" in page_of(Result.of(tmp_path))


def test_a_winner_that_learned_from_no_teacher_is_set_against_labels_alone_everywhere(result_in: ResultIn) -> None:
    page = page_of(without_teacher(result_in("complete")))
    assert f">BEATS {ALONE}: +0.89 points" in page
    assert f"<td>{ALONE}</td>" in page
    assert "<li>This student learned from no teacher.</li>" in page
    assert "the same student<br>with labels alone" in page.replace("\\u003c", "<").replace("\\u003e", ">")
    assert "without a teacher" not in page


def test_beside_others_a_winner_that_learned_from_no_teacher_says_what_it_is_set_against(result_in: ResultIn) -> None:
    result = result_in("complete")
    found = verdicts([replace(without_teacher(result), folder=Path("results/alone")), result])
    assert found is not None
    assert [row[1].endswith(f" ({ALONE})") for row in found.rows] == [True, False]
    assert not any("(" in cell for row in found.rows for cell in row[2:])


def test_the_time_of_a_result_is_of_the_search_whose_trials_and_epochs_stand_beside_it(result_in: ResultIn) -> None:
    result = result_in("complete")
    times = {"total_s": 2000.0, "search_s": 60.0, "baseline_search_s": 900.0}
    (row,) = outcomes([replace(result, summary={**result.summary, "time": times})]).rows
    assert row[-3:] == (str(result.num_trials), str(result.num_epochs), "1:00 min")
