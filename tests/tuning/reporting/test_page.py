"""The pages: their content, that they are self-contained, and that a real browser draws them."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reported import STATES, Read, of_trials, played, summed_up

from distill_tune.config.load import apply_setting
from distill_tune.errors import ConfigError
from distill_tune.tuning.reporting.comparison import comparison_of, differences, warnings
from distill_tune.tuning.reporting.page import page_of
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.reporting.tables import Table, facts_of_search, rungs
from distill_tune.tuning.state.history import History

ResultIn = Callable[[str], Result]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NASTY = "</script><script>document.title = 'taken'</script>"


def drawn(page: Path, tmp_path: Path) -> str:
    """The page's DOM once a browser has run its scripts."""
    assert CHROMIUM is not None
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    options += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--host-resolver-rules=MAP * ~NOTFOUND"]
    options += ["--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom", page.as_uri()]
    ran = subprocess.run([CHROMIUM, *options], capture_output=True, text=True, timeout=120, check=True)
    complaints = [line for line in ran.stderr.splitlines() if "CONSOLE" in line and "GL Driver Message" not in line]
    assert complaints == []
    return ran.stdout


@pytest.mark.parametrize("state", STATES)
def test_a_page_needs_no_other_file_and_has_a_place_for_each_chart(state: str, result_in: ResultIn) -> None:
    page = page_of(result_in(state))
    read = Read(page)
    assert read.elsewhere == []
    figures = page[page.rindex("const figures = {") : page.rindex("for (const [name, figure]")]
    assert set(re.findall(r'^  "(\w+)": \{', figures, re.MULTILINE)) == read.charts


def test_a_complete_page_says_the_verdict_the_students_and_what_the_best_one_is(result_in: ResultIn) -> None:
    text = Read(page_of(result_in("complete"))).text
    assert "BEATS the same student without a teacher: +0.89 points of test accuracy" in text
    assert "INCONCLUSIVE against the same student with default distillation" in text
    assert "Winner's curse: val/accuracy of the winner looked better in the search" in text
    assert "97.00% 96.00% to 98.00%" in text
    assert "teacher 98.00%" in text
    best = result_in("complete").winner
    assert best is not None
    assert f"learning_rate {best.values['optim.learning_rate']:.3g} log = [0.0001, 0.1]" in text
    assert "20 s" in text
    assert "2 an objective was not finite" in text


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("unfinished", "It is still running, or was stopped"),
        ("interrupted", "There is no verdict yet"),
        ("without_a_trial", "no trial could be used"),
        ("all_failed", "no trial could be used"),
    ],
)
def test_a_page_without_a_verdict_says_why(state: str, said: str, result_in: ResultIn) -> None:
    text = Read(page_of(result_in(state))).text
    assert said in text
    assert "On untouched test data" not in text


def test_refused_trials_are_told_apart_from_those_that_count(result_in: ResultIn) -> None:
    found = dict(facts_of_search(result_in("complete")))
    total, parts = found["trials"].removesuffix(")").split(" (")
    assert int(total) == sum(int(part.split()[0]) for part in parts.split(", ")) == 24
    assert int(found["besides, refused (over a limit, or invalid)"]) == len(result_in("complete").trials) - 24
    assert "(" not in dict(facts_of_search(result_in("without_a_trial")))["trials"]


def test_of_equal_trials_the_one_with_the_smaller_loss_stands_first() -> None:
    result = of_trials([{"optim.learning_rate": 0.1}] * 3, [0.9, 0.9, 0.8], learning_rate={"log": [0.01, 1.0]})
    for record, loss in zip(result.trials, (0.2, 0.3, 0.1), strict=True):
        record.last["val/loss"] = loss
    assert [trial.number for trial in result.trained[::-1]] == [0, 1, 2]


def test_two_examined_results_beside_one_without_a_verdict_are_still_chosen_from(result_in: ResultIn) -> None:
    results = [result_in(state) for state in ("complete", "of_several_objectives", "unfinished")]
    assert [*warnings(results)][-1].startswith("If you pick the best of several results here")


def test_a_summary_of_an_older_version_is_refused(tmp_path: Path) -> None:
    summed_up(tmp_path, played(tmp_path, trials=1))
    summary = json.loads((tmp_path / "summary.json").read_text())
    del summary["flattered"]
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ConfigError, match=r"summary\.json: must have 'flattered', but has none: an older"):
        Result.of(tmp_path)


def test_what_users_have_written_is_text_and_nothing_else(tmp_path: Path) -> None:
    session = played(tmp_path, trials=6)
    summed_up(tmp_path, session, space=NASTY)
    ledger = (tmp_path / "ledger.jsonl").read_text()
    (tmp_path / "ledger.jsonl").write_text(re.sub(r'"message":"[^"]+"', f'"message":{json.dumps(NASTY)}', ledger))
    page = page_of(Result.of(tmp_path))
    assert NASTY not in page
    assert NASTY in Read(page).text


def test_several_results_are_told_apart_and_their_differences_named(result_in: ResultIn) -> None:
    results = [result_in("complete"), result_in("of_several_objectives"), result_in("interrupted")]
    text = Read(comparison_of(results)).text
    for result in results:
        assert result.name in text
    assert "search.objectives - ['val/accuracy', 'parameters'] -" in text
    assert f"Not complete, and without a verdict: {results[2].name}." in text
    assert "learning_rate" not in text  # the same in all


def test_results_of_one_name_are_called_by_their_folders(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "same", tmp_path / "b" / "same"]
    for folder in folders:
        folder.mkdir(parents=True)
        summed_up(folder, played(folder, trials=2))
    text = Read(comparison_of([Result.of(folder) for folder in folders])).text
    assert "If you pick the best of several results here" in text
    assert "None: all have the same search.toml" in text
    assert all(text.count(str(folder)) == 1 for folder in folders)  # below the heading; elsewhere, what differs
    assert all(text.count(name) >= 3 for name in ("a/same", "b/same"))


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("loss.temperature=4", "search.trials=1", set()),
        ("loss.temperature=4.5", "loss.temperature=4", {"loss.temperature"}),
        ('student.init="default"', "student.mlp.width=64", set()),
        ("student.mlp.widths=[64]", "student.mlp.dropout=0", {"student.mlp.widths"}),
        ('student."mine:Net".width=3', "teacher.train.augmentation.shift=0", None),
    ],
)
def test_a_default_that_is_written_out_is_no_difference(one: str, other: str, differ: set[str] | None) -> None:
    base = {"data": {"source": "digits"}, "student": {"family": "mlp"}, "search": {"trials": 1}}
    results = []
    for setting in (one, other):
        apply_setting(tables := deepcopy(base), setting)
        results.append(Result(Path(f"results/{len(results)}"), tables, {}, History()))
    found = differences(results)
    keys = set() if found is None else {row[0] for row in found.rows}
    assert keys == ({setting.partition("=")[0] for setting in (one, other)} if differ is None else differ)


def test_a_teacher_section_that_is_left_out_trains_an_mlp() -> None:
    base: dict[str, Any] = {"data": {"source": "digits"}, "student": {"family": "mlp"}}
    written = [base, base | {"teacher": {"source": "train", "family": "mlp"}}, base | {"teacher": {"views": 2}}]
    results = [Result(Path(f"results/{place}"), tables, {}, History()) for place, tables in enumerate(written)]
    assert differences(results[:2]) is None
    assert differences(results[1:]) == Table(
        ("key", "1", "2"), [("teacher.family", "'mlp'", "-"), ("teacher.views", "-", "2")], numeric=False
    )


@pytest.mark.parametrize("state", ["complete", "of_several_objectives"])
def test_what_it_took_to_go_on_is_said_only_of_one_objective(state: str, result_in: ResultIn) -> None:
    rung = {"epochs": 3, "count": 9, "cutoff": None, "rank_correlation": 0.5, "compared": 5}
    found = rungs(replace(result_in(state), summary={"rungs": [rung]}))
    assert found is not None
    assert ("what it took to go on" in found.head) is (state == "complete")
    assert (len(found.rows[0]), found.rows[0][-1]) == (len(found.head), "0.50 (5 trials)")


def test_a_folder_without_a_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be the result folder of a search, but holds none"):
        Result.of(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_summary_is_refused(text: str, tmp_path: Path) -> None:
    summed_up(tmp_path, played(tmp_path, trials=1))
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(ConfigError, match=r"summary\.json: (is damaged|must be an object)"):
        Result.of(tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser, Chromium, which .ci/run installs")
def test_a_browser_draws_every_chart_without_a_complaint_and_without_a_network(
    result_in: ResultIn, tmp_path: Path
) -> None:
    (tmp_path / "one.html").write_text(page_of(result_in("complete")))
    several = comparison_of([result_in("complete"), result_in("unfinished")])
    (tmp_path / "several.html").write_text(several)
    for name in ("one.html", "several.html"):
        read = Read((tmp_path / name).read_text())
        document = drawn(tmp_path / name, tmp_path)
        places = re.findall(r'<div class="chart js-plotly-plot" id="(\w+)"', document)
        assert set(places) == read.charts
        assert document.count('class="main-svg"') >= len(places)
