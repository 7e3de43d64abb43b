"""`--resume` retries what failed for a temporary cause, such as memory that another job used."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small import TABLES, VALUES

from distill_tune.config import Space
from distill_tune.config.writing import as_toml
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.logbook import Entry, Logbook
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.confirmation_pool import ConfirmationPool
from distill_tune.tuning.verdict.confirmation_worker import WorkerContext

HERE = Path(__file__).parents[1]


@pytest.fixture
def rays() -> Iterator[Path]:
    """Where Ray keeps its sessions, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def search(storage: Path, rays: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "distill_tune.search", "--storage", str(storage), "--name", "s", *arguments],
        env={**os.environ, "PYTHONPATH": paths, "BROKEN_WHILE": str(storage / "broken"), "RAY_TMPDIR": str(rays)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.ray
@pytest.mark.timeout(420)
def test_a_search_all_of_whose_trials_failed_leaves_rays_logs_and_is_tried_again_with_as_many_trials(
    tmp_path: Path, rays: Path
) -> None:
    """With fewer than five trials, only their number ends it; the session that succeeds leaves no logs."""
    tables = {**TABLES, "loss": {"kind": "broken_loss:BrokenForAWhile"}, "confirm": {"top": 1, "seeds": 2}}
    tables["search"] = {"max_epochs": 3, "trials": 3}
    (tmp_path / "space.toml").write_text(as_toml(Space.parse(tables)))
    (tmp_path / "broken").touch()
    first = search(tmp_path, rays, str(tmp_path / "space.toml"))
    assert first.returncode == 1, first.stdout + first.stderr
    assert "no trial could be used; the first said: RuntimeError: CUDA out of memory" in first.stderr
    assert "--resume tries it again" in first.stderr
    (left,) = rays.glob("ray/session_2*")
    assert any((left / "logs").iterdir())
    (tmp_path / "broken").unlink()
    second = search(tmp_path, rays, "--resume")
    assert second.returncode == 0, second.stdout + second.stderr
    assert [*rays.glob("ray/session_2*")] == [left]
    found = json.loads((tmp_path / "s" / "summary.json").read_text())
    assert (found["status"], found["trials"]["total"], found["trials"]["failed"]) == ("complete", 3, 0)
    book = [json.loads(line) for line in (tmp_path / "s" / "ledger.jsonl").read_text().splitlines()]
    assert all(entry["places"] > 0 for entry in book if entry["entry"] == "searching")
    assert [entry["entry"] for entry in book if entry["entry"] in ("searching", "failed", "finished")] == [
        *("searching", "failed"),
        *("searching", "finished"),
    ]
    rows = pq.read_table(tmp_path / "s" / "trials.parquet").to_pylist()
    assert [row["trial"] for row in rows] == ["0003", "0004", "0005"]


@pytest.mark.ray
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("a_ray")
def test_trainings_of_a_confirmation_in_which_nothing_could_be_used_are_trained_again(
    small_space: Space, preparation: Any, tmp_path: Path
) -> None:
    config, source = small_space.at(VALUES), TrialRecord(7, "0007", VALUES)
    loss = config.loss.model_copy(update={"kind": "broken_loss:Broken"})
    broken = Candidate("trial-0007", config.model_copy(update={"loss": loss}), [1000, 1001], source)
    context, logbook = WorkerContext(small_space.config.resources, tmp_path), Logbook(tmp_path)
    ledger = Ledger(watchers=[logbook])
    with ConfirmationPool(1, context, preparation.prepared, ledger, Budget(2)) as pool:
        pool.train([broken])
    assert ledger.count(Status.FAILED) == 2
    logbook.write(Entry.FAILED)
    logbook.release()
    known, again = History.of(tmp_path).confirmations, Ledger()
    mended = Candidate("trial-0007", config, [1000, 1001], source)
    with ConfirmationPool(1, context, preparation.prepared, again, Budget(2), known) as pool:
        pool.train([mended])
    assert again.count(Status.COMPLETED) == again.count() == 2
    assert len(mended.weights) == 2


def told(folder: Path, *trials: TrialRecord) -> Logbook:
    """A logbook with trials that have ended as their records say."""
    logbook = Logbook(folder)
    logbook.write(Entry.SESSION, command="")
    ledger = Ledger(watchers=[logbook])
    for record in trials:
        status, reports, record.reports = record.status, record.reports, []
        ledger.start(record)
        for report in reports:
            ledger.report(record.trial_id, report)
        ledger.end(record, status)
    return logbook


def ended(name: str, status: Status, *accuracies: float) -> TrialRecord:
    reports = [{"epoch": epoch, "val/accuracy": each} for epoch, each in enumerate(accuracies, 1)]
    return TrialRecord(0, name, {}, status=status, reports=reports)


def test_a_failed_confirmation_keeps_the_search_and_whatever_came_to_its_end(tmp_path: Path) -> None:
    logbook = told(tmp_path, ended("0000", Status.COMPLETED, 0.5), ended("0001", Status.FAILED))
    logbook.write(Entry.SEARCHED, ended_by="trials")
    logbook.write(Entry.CONFIRMING, plan={"top": 1, "seeds": 2})
    logbook.release()
    logbook = told(tmp_path, ended("confirm-a", Status.FAILED, 0.1), ended("confirm-b", Status.COMPLETED, 0.2))
    logbook.write(Entry.FAILED)
    logbook.release()
    history = History.of(tmp_path)
    assert list(history.confirmations) == ["confirm-b"]
    assert list(history.records) == ["0000", "0001"]
    assert (history.ended_by, history.is_finished) == ("trials", False)
    assert history.plan is not None
    told(tmp_path, ended("confirm-a", Status.COMPLETED, 0.3)).release()
    again = History.of(tmp_path).confirmations["confirm-a"]
    assert (again.status, [report["val/accuracy"] for report in again.reports]) == (Status.COMPLETED, [0.3])


def test_a_search_without_a_usable_trial_has_its_whole_budget_again(tmp_path: Path) -> None:
    logbook = told(tmp_path, ended("0000", Status.FAILED, 0.5), ended("0001", Status.INTERRUPTED))
    logbook.write(Entry.SEARCHED, ended_by="time")
    logbook.release()
    spent = History.of(tmp_path)
    assert spent.spent_s > 0
    assert (spent.ended_by, len(spent.records)) == ("time", 2)
    logbook = Logbook(tmp_path)
    logbook.write(Entry.FAILED)
    logbook.release()
    history = History.of(tmp_path)
    assert (history.records, history.ended_by, history.spent_s, history.search_s) == ({}, None, 0.0, 0.0)


def test_so_has_one_that_gave_up_though_a_trial_has_come_to_an_epoch_since(tmp_path: Path) -> None:
    logbook = told(
        tmp_path, *(ended(f"{n:04d}", Status.FAILED) for n in range(5)), ended("0005", Status.INTERRUPTED, 0.5)
    )
    logbook.write(Entry.SEARCHED, ended_by=Reason.FAILURES)
    logbook.write(Entry.FAILED)
    logbook.release()
    history = History.of(tmp_path)
    assert (history.records, history.ended_by, history.spent_s) == ({}, None, 0.0)


def test_what_an_older_version_has_confirmed_of_one_that_gave_up_stays(tmp_path: Path) -> None:
    logbook = told(
        tmp_path, *(ended(f"{n:04d}", Status.FAILED) for n in range(5)), ended("0005", Status.INTERRUPTED, 0.5)
    )
    logbook.write(Entry.SEARCHED, ended_by=Reason.FAILURES)
    logbook.write(Entry.CONFIRMING, plan={"top": 1, "seeds": 2})
    logbook.write(Entry.FAILED)
    logbook.release()
    assert len(History.of(tmp_path).records) == 6
