"""Pages of searches that were interrupted, have failed, or have been taken up again since: what still holds is said."""

import json
from collections.abc import Callable
from pathlib import Path

from reported import Failing, Read, played, summed_up

from distill_tune.tuning.reporting.comparison import warnings
from distill_tune.tuning.reporting.page import page_of
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.reporting.tables import facts_of_search

ResultIn = Callable[[str], Result]


def go_on(folder: Path) -> None:
    """Another program has begun a session of the search."""
    with (folder / "ledger.jsonl").open("a") as file:
        file.write(json.dumps({"entry": "session", "at_s": 2.0, "command": "--resume"}) + "\n")


def extend(folder: Path) -> None:
    """That session has noted that it adds trials."""
    with (folder / "ledger.jsonl").open("a") as file:
        file.write(json.dumps({"entry": "extended", "at_s": 3.0}) + "\n")


def test_of_a_search_in_which_every_trial_failed_the_page_has_what_they_failed_with(result_in: ResultIn) -> None:
    result = result_in("all_failed")
    assert dict(facts_of_search(result))["trials"] == "5 (5 failed)"
    assert "5 ValueError: always" in Read(page_of(result)).text


def test_once_it_is_tried_again_its_trials_begin_anew(tmp_path: Path) -> None:
    summed_up(tmp_path, played(tmp_path, Failing), "failed", message="no trial could be used", sessions=1)
    assert Result.of(tmp_path).num_trials == 5
    go_on(tmp_path)
    result = Result.of(tmp_path)
    assert (result.status, result.num_trials) == ("unfinished", 0)


def test_a_search_that_was_extended_and_not_finished_is_not_called_complete(tmp_path: Path) -> None:
    summed_up(tmp_path, played(tmp_path, trials=2))
    assert Result.of(tmp_path).status == "complete"
    extend(tmp_path)
    extended = Result.of(tmp_path)
    assert extended.status == "unfinished"
    assert "The verdict predates the extension" in Read(page_of(extended)).text
    other = tmp_path / "other"
    other.mkdir()
    summed_up(other, played(other, trials=2))
    said = [*warnings([extended, Result.of(other)])]
    assert f"Extended and not yet complete again; the verdict predates the extension: {tmp_path.name}." in said
    assert said[-1].startswith("If you pick the best of several results here")


def test_of_a_search_that_is_taken_up_again_nothing_of_its_interruption_is_said(tmp_path: Path) -> None:
    summed_up(tmp_path, played(tmp_path, trials=3), "interrupted", sessions=1)
    assert Result.of(tmp_path).winner is not None
    go_on(tmp_path)
    result = Result.of(tmp_path)
    assert (result.status, result.winner) == ("unfinished", None)
    text = Read(page_of(result)).text
    assert "It is still running, or was stopped" in text
    assert "no verdict" not in text
    assert "ended by" not in text
    assert "time" not in dict(facts_of_search(result))


def test_of_a_search_that_is_taken_up_again_its_verdict_still_holds(tmp_path: Path) -> None:
    summed_up(tmp_path, played(tmp_path, trials=3), sessions=1)
    before = Result.of(tmp_path)
    go_on(tmp_path)
    extend(tmp_path)
    result = Result.of(tmp_path)
    assert (result.status, result.winner and result.winner.number) == ("unfinished", before.summary["best"]["trial"])
    assert "BEATS the same student without a teacher" in Read(page_of(result)).text
    assert "time" not in dict(facts_of_search(result))


def test_an_extension_that_ends_before_it_has_begun_leaves_the_search_complete(tmp_path: Path) -> None:
    """Such as by Ctrl-C while Ray starts: the session is in the logbook, the extension is not."""
    summed_up(tmp_path, played(tmp_path, trials=3), sessions=1)
    before = Result.of(tmp_path)
    go_on(tmp_path)
    result = Result.of(tmp_path)
    assert (result.status, result.summary) == ("complete", before.summary)
    assert "still running" not in Read(page_of(result)).text


def test_what_was_at_work_when_a_search_was_interrupted_is_not_called_running(tmp_path: Path) -> None:
    session = played(tmp_path, trials=3)
    lines = (tmp_path / "ledger.jsonl").read_text().splitlines(keepends=True)
    ends = [line for line in lines if json.loads(line)["entry"] == "ended"]
    (tmp_path / "ledger.jsonl").write_text("".join(line for line in lines if line != ends[-1]))
    assert "running" in dict(facts_of_search(Result.of(tmp_path)))["trials"]
    summed_up(tmp_path, session, "interrupted", sessions=1)
    told = dict(facts_of_search(Result.of(tmp_path)))["trials"]
    assert "1 interrupted" in told
    assert "running" not in told


def test_an_extension_that_was_interrupted_gives_nobody_the_files_of_an_earlier_winner(tmp_path: Path) -> None:
    session = played(tmp_path, trials=3)
    summed_up(tmp_path, session)
    go_on(tmp_path)
    extend(tmp_path)
    summed_up(tmp_path, session, "interrupted", sessions=2, test_opened=1)
    (tmp_path / "best").mkdir()
    text = Read(page_of(Result.of(tmp_path))).text
    assert "Since it was extended, there has been no verdict: python -m distill_tune.search --resume" in text
    assert "The best student" in text
    assert "reproduce it" not in text


def test_a_search_that_was_interrupted_in_its_examination_is_not_said_to_have_been_extended(tmp_path: Path) -> None:
    summed_up(tmp_path, played(tmp_path, trials=3), "interrupted", test_opened=1)
    text = Read(page_of(Result.of(tmp_path))).text
    assert "There is no verdict yet: python -m distill_tune.search --resume" in text
    assert "extended" not in text


def test_a_search_of_several_runs_says_which_time_is_of_the_last_one(tmp_path: Path) -> None:
    session = played(tmp_path, trials=2)
    summed_up(tmp_path, session, sessions=2, time={"total_s": 5.0, "search_s": 900.0, "confirm_s": 3.0})
    facts = dict(facts_of_search(Result.of(tmp_path)))
    assert facts["time of the last run"] == "5 s"
    assert facts["– searching, in all runs"] == "15:00 min"
    assert facts["– confirming in fresh seeds"] == "3 s"
    summed_up(tmp_path, session, sessions=1)
    assert dict(facts_of_search(Result.of(tmp_path)))["time"] == "20 s"
