"""A search followed by one without a teacher, which is killed midway, resumed and extended."""

import json
import signal
from functools import partial
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from searches import NO_PROGRAMS, ended, ended_twice, entries, has_reported, once, run, summary, trials
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]

SMALL = [
    *NO_PROGRAMS,
    *("--set", "teacher.family='mlp'", "--set", "teacher.mlp.widths=[64]", "--set", "teacher.train.epochs=8"),
    *("--set", "teacher.views=2", "--set", "confirm.top=1", "--set", "confirm.seeds=2", "--set", "search.max_epochs=9"),
    *("--set", "resources.concurrent_trials=1", "--trials", "12"),
    *("--set", "optim.precision='float32'", "--set", "teacher.train.precision='float32'"),
    *("--set", "search.scheduler='promotion'", "--set", "data.passes=3", "--set", "confirm.baseline_search=true"),
]


@pytest.fixture(scope="module")
def undisturbed(storage: Path) -> Path:
    done = run(storage, "--name", "undisturbed", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "an equal search without a teacher" in done.stdout
    return storage / "undisturbed"


THE_SECOND = "Searching  the same space without a teacher"


def in_the_second(line: str, seen: list[bool]) -> bool:
    """Whether a trial of the second search has reported; `seen` remembers the lines before."""
    seen.append(line.startswith(THE_SECOND))
    return any(seen[:-1]) and has_reported(line)


@pytest.fixture(scope="module")
def killed(storage: Path, undisturbed: Path) -> Path:
    folder = storage / "killed"
    ledger = folder / "baseline" / "ledger.jsonl"
    one_has_paused = once(THE_SECOND, lambda: ledger.exists() and '"paused"' in ledger.read_text())
    status, said = ended(storage, signal.SIGKILL, one_has_paused, "--name", "killed", *SMALL)
    assert status == -signal.SIGKILL, said
    assert entries(folder)[-1]["entry"] == "searched"
    cut_off = {entry["entry"] for entry in entries(folder / "baseline")}
    assert "paused" in cut_off
    assert "searched" not in cut_off
    again = run(storage, "--resume", "--name", "killed")
    assert again.returncode == 0, again.stdout + again.stderr
    return folder


def test_the_winner_without_a_teacher_stands_beside_the_others(undisturbed: Path) -> None:
    found = summary(undisturbed)
    assert (
        set(found["baselines"])
        == set(found["verdict"])
        == {*("no_teacher", "default_distillation", "searched_no_teacher")}
    )
    searched = found["baselines"]["searched_no_teacher"]
    assert searched["config"]["loss"]["kind"] in ("labels", "label_smoothing")
    assert searched["test"]["accuracy"]["seeds"] == found["best"]["test"]["accuracy"]["seeds"] == 2
    assert searched["parameters"] <= found["best"]["config"]["limits"]["max_parameters"]
    card = (undisturbed / "best" / "README.md").read_text()
    assert "| the best student of an equal search without a teacher |" in card
    assert f"{searched['parameters']:,} |" in card


def test_both_searches_have_trained_as_many_trials(undisturbed: Path) -> None:
    found = summary(undisturbed)
    assert found["baseline_search"]["trials"]["total"] == found["trials"]["total"] == 12
    assert found["baseline_search"]["ended_by"] == "trials"
    rows = trials(undisturbed / "baseline")
    assert {row["config/loss.kind"] for row in rows} <= {"labels", "label_smoothing"}
    study = optuna.load_study(
        study_name="baseline", storage=JournalStorage(JournalFileBackend(str(undisturbed / "baseline/study.journal")))
    )
    assert len(study.trials) == len(rows)


def test_tensorboard_has_it_in_a_folder_and_takes_its_columns_from_the_search(undisturbed: Path) -> None:
    shown = EventMultiplexer().AddRunsFromDirectory(str(undisturbed / "tensorboard")).Reload()
    runs = shown.Runs()
    trained = {row["trial"] for row in trials(undisturbed / "baseline") if row["status"] != "infeasible"}
    assert {f"baseline/{trial}" for trial in trained} <= set(runs)
    described = shown.PluginRunToTagToContent("hparams")
    assert [name for name, tags in described.items() if "_hparams_/experiment" in tags] == ["search"]


def test_killed_in_the_midst_of_it_a_search_ends_as_if_nothing_had_happened(undisturbed: Path, killed: Path) -> None:
    assert trials(killed) == trials(undisturbed)
    assert trials(killed / "baseline") == trials(undisturbed / "baseline")
    ours, whole = summary(killed), summary(undisturbed)
    assert ours["verdict"] == whole["verdict"]
    assert ours["baselines"] == whole["baselines"]
    assert ours["test_opened"] == 1


def test_a_second_ctrl_c_in_the_midst_of_it_ends_at_once_and_what_is_there_is_saved(storage: Path) -> None:
    long = ["--trials", "2", "--set", "data.passes=20", "--set", "search.max_epochs=3"]
    status, said = ended_twice(storage, partial(in_the_second, seen=[]), "--name", "twice", *SMALL, *long)
    assert status == 130, said
    assert "Traceback" not in said
    assert summary(storage / "twice")["status"] == "interrupted"
    statuses = {row["status"] for row in trials(storage / "twice" / "baseline")}
    assert "interrupted" in statuses
    assert "running" not in statuses


def test_extended_both_searches_are_longer_by_as_much(storage: Path, killed: Path) -> None:
    before = trials(killed / "baseline")
    more = run(storage, "--extend", "3", "--name", "killed")
    assert more.returncode == 0, more.stdout + more.stderr
    found = summary(killed)
    assert found["trials"]["total"] == found["baseline_search"]["trials"]["total"] == 15
    assert trials(killed / "baseline")[: len(before)] == before
    assert found["test_opened"] == 2
    told = json.dumps(found["baselines"]["searched_no_teacher"]["config"])
    assert "temperature" not in told
