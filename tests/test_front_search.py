"""A search of several objectives as a user runs it: its output, its results, and which trials it confirms."""

import json
import re
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import pytest
import searches
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from searches import NO_PROGRAMS, entries, run

from distill_tune.config import load_space, tables_of

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]

OBJECTIVES = ["val/accuracy", "parameters", "latency_ms"]
SMALL = [
    *NO_PROGRAMS,
    *("--set", "teacher.family='mlp'", "--set", "teacher.mlp.widths=[64]", "--set", "teacher.train.epochs=4"),
    *("--set", "teacher.views=1", "--set", "search.max_epochs=4", "--set", "augmentation.shift=0"),
    *("--set", "confirm.top=2", "--set", "confirm.seeds=2", "--trials", "8"),
    *("--set", f"search.objectives={json.dumps(OBJECTIVES)}"),
]


@pytest.fixture(scope="module")
def said(storage: Path) -> str:
    done = run(storage, "search_spaces/digits_front.toml", "--name", "front", *SMALL)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def summary(storage: Path, said: str) -> dict[str, Any]:
    return searches.summary(storage / "front")


def test_front_of_summary_table_and_plain_optuna_are_one(storage: Path, summary: dict[str, Any]) -> None:
    rows = pq.read_table(storage / "front" / "trials.parquet").to_pylist()
    journal = JournalFileBackend(str(storage / "front" / "study.journal"))
    study = optuna.load_study(study_name="front", storage=JournalStorage(journal))
    front = {member["trial"]: member["values"] for member in summary["front"]}
    assert study.metric_names == OBJECTIVES
    assert {trial.number: trial.values for trial in study.best_trials} == {
        number: list(values.values()) for number, values in front.items()
    }
    assert {row["number"] for row in rows if row["on_front"]} == set(front)
    for row in rows:
        if row["on_front"]:
            assert front[row["number"]] == {name: row[name] for name in OBJECTIVES}
    timed = {row["number"]: row["latency_ms"] for row in rows}
    assert summary["best"]["latency_ms"] == timed[summary["best"]["trial"]], "the one that it was chosen by"
    assert [v["val/accuracy"] for v in front.values()] == sorted(v["val/accuracy"] for v in front.values())[::-1]


def test_where_no_programs_are_asked_for_none_is_there_and_none_is_missed(
    storage: Path, said: str, summary: dict[str, Any]
) -> None:
    found = {path.name for path in (storage / "front" / "best").iterdir()}
    assert found == {"run.toml", "student.safetensors", "student.json", "README.md"}
    assert summary["best"]["left_out"] == {}
    assert "left out" not in said
    assert load_space(storage / "front" / "search.toml", []).config.export.formats == []


def mean_accuracy(folder: Path, trial: int, seeds: range) -> float:
    """A trial's mean accuracy over its confirmation seeds, after their last epoch, from the ledger."""
    last = {e["trial_id"]: e["report"]["val/accuracy"] for e in entries(folder) if e["entry"] == "reported"}
    return sum(last[f"confirm-trial-{trial:04d}-seed{seed}"] for seed in seeds) / len(seeds)


def test_the_front_is_confirmed_and_the_best_of_it_is_named(storage: Path, summary: dict[str, Any]) -> None:
    confirmed = [member for member in summary["front"] if member["confirmed"]]
    assert confirmed[0] == summary["front"][0]
    assert len(confirmed) == min(2, len(summary["front"]))
    assert all(member["confirmed"]["seeds"] == 2 for member in confirmed)
    folder, choosing, judging = storage / "front", range(1000, 1002), range(1002, 1004)
    means = {member["trial"]: member["confirmed"]["values"]["val/accuracy"] for member in confirmed}
    assert means == pytest.approx({trial: mean_accuracy(folder, trial, choosing) for trial in means})
    winner, judged = summary["best"]["trial"], summary["best"]["validation"]["accuracy"]
    assert judged == pytest.approx(mean_accuracy(folder, winner, judging))
    assert max(means.values()) <= mean_accuracy(folder, winner, choosing) + 1e-9
    if len(confirmed) == 2:
        assert max(means.values()) == pytest.approx(means[winner])
    assert summary["status"] == "complete"
    assert set(summary["verdict"]) == {"no_teacher", "default_distillation"}


def test_it_says_the_front(said: str, summary: dict[str, Any]) -> None:
    count = len(summary["front"])
    assert f"the front: {count} student{'s' * (count > 1)}, val/accuracy " in said
    assert f"front of {count}" in said
    assert "val/accuracy, confirmed" in said
    assert f"trial {summary['front'][0]['trial']:04d}" in said.rpartition("val/accuracy, confirmed")[2]


def test_another_student_of_the_front_is_had_as_the_page_shows(
    storage: Path, summary: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "searching.md").read_text()
    shown = re.search(r"# one_of_the_front\.py\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    monkeypatch.chdir(tmp_path)
    exec(shown[1].replace("results/NAME", str(storage / "front")), {})
    smallest = min(summary["front"], key=lambda student: student["parameters"])
    assert tables_of(load_space(tmp_path / "small.toml", []).config) == smallest["config"]
