"""Tune around the conductor, on a real Ray: full use of places, failing trials, budgets that run out."""

import os
import re
import signal
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psutil
import pytest
import ray
from odd_groups import dying_once, spacious, untrained
from ray_searches import ActorKiller, Meddler, ended_by_failures, searched

from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.interrupts import heard
from distill_tune.tuning.running import tune_adapters
from distill_tune.tuning.running.controller import Controller
from distill_tune.tuning.running.place_actors import PlaceActors
from distill_tune.tuning.running.run import run_search
from distill_tune.tuning.running.tune_adapters import ConductedScheduler, Kept, Waiting
from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.workers.checkpoints import CHECKPOINTS, CheckpointSweeper
from distill_tune.tuning.workers.trial import DIED

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280), pytest.mark.usefixtures("a_ray")]


def test_all_trials_end_in_the_ledger_and_nothing_is_held_afterwards(tmp_path: Path, preparation: Any) -> None:
    conductor, context = searched(tmp_path, preparation, trials=12)
    run_search(conductor, context)
    ledger = conductor.ledger
    assert ledger.count(Status.COMPLETED, Status.STOPPED) == ledger.count() == 12
    assert ledger.count(Status.COMPLETED) >= 1
    created = [group for group in ray.util.placement_group_table().values() if group["state"] == "CREATED"]
    assert created == []
    assert not (tmp_path / "tune").exists()


class LookAtPlaces(Watcher):
    """Records the places, and those that are gone when a trial begins."""

    def __init__(self) -> None:
        self.places: set[int] = set()
        self.gone: set[int] = set()

    def trial_started(self, record: TrialRecord) -> None:
        self.gone |= {place for place in self.places if not psutil.pid_exists(place)}

    def trial_reported(self, record: TrialRecord) -> None:
        self.places.add(int(record.last["place"]))


def test_a_place_that_comes_up_late_is_used_and_none_goes_away_while_trials_remain(
    tmp_path: Path, preparation: Any
) -> None:
    look = LookAtPlaces()
    conductor, context = searched(tmp_path, preparation, look, trials=40, scheduler="none")
    run_search(conductor, replace(context, group_of=untrained))
    served = Counter(int(record.last["place"]) for record in conductor.ledger.records.values())
    assert sum(served.values()) == conductor.ledger.count(Status.COMPLETED) == 40
    assert len(served) == 2, f"the trials of each place: {served}"
    assert look.gone == set()


def test_what_has_ended_is_forgotten_by_tune_and_leaves_no_folder(
    tmp_path: Path, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[int] = []
    asked: list[int] = []

    class Counting(Controller):
        def on_step_end(self) -> None:
            super().on_step_end()
            known.append(len(self._trials) + len(self._stopped_trials) + len(self._trials_to_cache))
            asked.append(max(map(len, self._actor_manager._tracked_actors_to_task_futures.values()), default=0))
            assert [path.name for path in Path(self._storage.experiment_driver_staging_path).iterdir()] == ["trials"]

    monkeypatch.setattr("distill_tune.tuning.running.controller.Controller", Counting)
    conductor, context = searched(tmp_path, preparation, trials=20, scheduler="none")
    run_search(conductor, replace(context, group_of=untrained))
    assert conductor.ledger.count(Status.COMPLETED) == 20
    assert max(known) <= 2
    assert max(asked) == 1, "what an actor has answered is forgotten"


def test_one_place_and_one_seed_give_the_same_trials_to_the_bit(tmp_path: Path, preparation: Any) -> None:
    def outcome(name: str) -> list[Any]:
        conductor, context = searched(tmp_path / name, preparation, places=1, trials=6)
        run_search(conductor, context)
        return [
            (r.trial_id, r.values, r.status, r.epochs, r.last["val/loss"]) for r in conductor.ledger.records.values()
        ]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert outcome("a") == outcome("b")


class Legs(Watcher):
    """How often each trial began, and what it reported."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.told: dict[str, list[int]] = {}

    def trial_started(self, record: TrialRecord) -> None:
        self.begun[record.trial_id] += 1

    def trial_reported(self, record: TrialRecord) -> None:
        self.told.setdefault(record.trial_id, []).append(record.epochs)


def test_a_trial_is_not_kept_from_its_workers_places_by_a_group_that_waits_for_a_trial(
    tmp_path: Path, preparation: Any
) -> None:
    """As after losing a node: the cluster has room for the workers of one of two places."""
    conductor, context = searched(tmp_path, preparation, trials=4, workers=2, scheduler="promotion")
    run_search(conductor, replace(context, group_of=spacious))
    assert (tmp_path / "both have begun").exists()
    assert conductor.ledger.count(Status.COMPLETED) >= 1
    assert conductor.ledger.count(Status.COMPLETED, Status.STOPPED) == conductor.ledger.count() == 4


@pytest.mark.parametrize("lanes", [1, 3])
def test_trials_that_pause_are_taken_up_again_where_they_were(tmp_path: Path, preparation: Any, lanes: int) -> None:
    legs, sweeper = Legs(), CheckpointSweeper(tmp_path)
    conductor, context = searched(tmp_path, preparation, legs, trials=12, scheduler="promotion", lanes=lanes)
    conductor.ledger.watchers.append(sweeper)
    run_search(conductor, context)
    ledger = conductor.ledger
    assert max(legs.begun.values()) > 1
    assert all(epochs == list(range(1, len(epochs) + 1)) for epochs in legs.told.values())
    assert ledger.count(Status.COMPLETED) >= 1
    assert ledger.count(Status.COMPLETED, Status.STOPPED) == ledger.count() == 12
    assert list((tmp_path / CHECKPOINTS).glob("*")) == []


@pytest.mark.parametrize(("where", "lanes"), [("tell", 1), ("note", 1), ("tell", 2)])
def test_what_is_raised_where_a_trial_ends_ends_the_search_and_is_told_as_it_is(
    where: str, lanes: int, tmp_path: Path, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = "promotion" if where == "note" else "asha"
    conductor, context = searched(tmp_path, preparation, places=1, trials=12, scheduler=scheduler, lanes=lanes)
    monkeypatch.setattr(conductor.study, where, Mock(side_effect=LookupError("of a sampler of my own")))
    with pytest.raises(LookupError, match="of a sampler of my own"):
        run_search(conductor, context)


def test_what_a_judge_raises_ends_the_search_and_decides_on_no_trial(
    tmp_path: Path, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor, context = searched(tmp_path, preparation, places=1, trials=12)
    monkeypatch.setattr(conductor.judge, "passes_rung", Mock(side_effect=LookupError("of a scheduler of my own")))
    with pytest.raises(LookupError, match="of a scheduler of my own"):
        run_search(conductor, context)
    ledger = conductor.ledger
    assert ledger.count() == ledger.count(Status.RUNNING) > 0, "a search that is taken up goes on with them"


def test_a_search_says_what_it_waits_for_once_each_time_that_no_trial_is_at_work(
    tmp_path: Path, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune_adapters, "PATIENCE_S", -1.0)
    conductor, _ = searched(tmp_path, preparation)
    report = {"epoch": 9, "val/accuracy": 0.5}
    conductor.take_up([TrialRecord(99, "0099", {}, status=Status.COMPLETED, reports=[report])])  # resumed
    heard_of: list[str] = []
    waiting = Waiting(conductor, ConductedScheduler(conductor, Kept()), heard_of.append)
    assert not waiting.stop_all()
    assert heard_of == [], "no trial has been proposed"
    assert conductor.propose() is not None
    for is_at_work, number_said in ((False, 1), (False, 1), (True, 1), (False, 2)):
        monkeypatch.setattr(ConductedScheduler, "is_anybody_at_work", is_at_work)
        assert not waiting.stop_all()
        assert len(heard_of) == number_said
    # an earlier test's resources may not be released yet
    assert all(
        re.fullmatch(r"waiting for a place, or for a process to start in it: the cluster has \d of 3 CPUs free", line)
        for line in heard_of
    )


def test_a_loss_that_raises_is_a_failed_trial_and_five_alike_end_the_search(tmp_path: Path, preparation: Any) -> None:
    conductor, context = searched(tmp_path, preparation, trials=30, loss={"kind": "broken_loss:Broken"})
    run_search(conductor, context)
    ended_by_failures(conductor, tmp_path, most=7)


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_loss_that_would_end_its_process_fails_its_trial_with_the_place_where_it_does(
    tmp_path: Path, preparation: Any, lanes: int
) -> None:
    conductor, context = searched(
        tmp_path, preparation, places=1, lanes=lanes, trials=2, loss={"kind": "broken_loss:Leaving"}
    )
    run_search(conductor, context)
    said = [record.message for record in conductor.ledger.with_status(Status.FAILED)]
    assert len(said) == 2
    assert all(
        re.search(r"Leaving\.soft in broken_loss\.py, line \d+, has ended the program; mend", line) for line in said
    )


def test_a_trial_that_spoils_its_process_fails_and_the_next_has_a_new_one(tmp_path: Path, preparation: Any) -> None:
    loss = {"kind": "broken_loss:Spoiling", "temperature": {"choice": [1.0, 2.0]}}
    conductor, context = searched(
        tmp_path, preparation, places=1, trials=3, loss=loss, scheduler="none", max_epochs=3, retries=1
    )
    conductor.first_settings.extend({"loss.temperature": each} for each in (1.0, 2.0, 1.0))
    run_search(conductor, context)
    first, spoiling, third = conductor.ledger.records.values()
    assert first.status is third.status is Status.COMPLETED
    assert (spoiling.status, spoiling.message) == (Status.FAILED, DIED)
    assert "CUDA error: device-side assert" in (tmp_path / "logs" / f"{spoiling.trial_id}.txt").read_text()


def test_a_user_who_interrupts_gets_every_trial_ended_and_accounted_for(tmp_path: Path, preparation: Any) -> None:
    class Interrupt(Meddler):
        def meddle(self, record: TrialRecord) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    conductor, context = searched(tmp_path, preparation, Interrupt(), trials=500)
    assert threading.current_thread() is threading.main_thread()
    interrupt = conductor.budget.interrupt
    with heard(interrupt), interrupt.in_order():
        run_search(conductor, context)
    assert conductor.budget.ended_by is Reason.USER
    assert conductor.ledger.count(Status.RUNNING) == 0
    assert conductor.ledger.count() < 500


def test_a_killed_trial_actor_costs_no_trial_and_tune_writes_no_file_of_it(
    tmp_path: Path, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: set[str] = set()

    class Looking(Controller):
        def on_step_end(self) -> None:
            super().on_step_end()
            staging = Path(self._storage.experiment_driver_staging_path)
            written.update(path.name for path in staging.rglob("*") if path.is_file())

    monkeypatch.setattr("distill_tune.tuning.running.controller.Controller", Looking)
    killer = ActorKiller("ray::Trial")
    conductor, context = searched(tmp_path, preparation, killer, trials=6, max_epochs=60, scheduler="none")
    run_search(conductor, context)
    assert killer.done
    assert written == set()
    assert conductor.ledger.count(Status.COMPLETED) == conductor.ledger.count() == 6
    for record in conductor.ledger.records.values():
        assert [report["epoch"] for report in record.reports] == list(range(1, 61))


def test_an_actor_that_ray_has_killed_for_its_memory_costs_no_trial(
    tmp_path: Path, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray then raises no dead-actor error."""
    killed = list[Exception]()
    resolve = PlaceActors._actor_task_resolved

    def resolved(actors: PlaceActors, tracked_actor_task: Any, result: Any) -> None:
        if killed or not isinstance(result, dict):
            resolve(actors, tracked_actor_task, result)
        else:
            killed.append(ray.exceptions.OutOfMemoryError("the memory of its node is used up"))
            actors._actor_task_failed(tracked_actor_task, killed[0])

    monkeypatch.setattr(PlaceActors, "_actor_task_resolved", resolved)
    conductor, context = searched(tmp_path, preparation, trials=4, scheduler="none", retries=1)
    run_search(conductor, context)
    assert len(killed) == 1
    assert conductor.ledger.count(Status.COMPLETED) == conductor.ledger.count() == 4


def test_a_place_that_dies_before_a_trial_has_begun_costs_no_trial_though_there_are_no_retries(
    tmp_path: Path, preparation: Any
) -> None:
    conductor, context = searched(tmp_path, preparation, places=1, trials=4, scheduler="none", retries=0)
    run_search(conductor, replace(context, group_of=dying_once))
    assert (tmp_path / "has died").exists()
    assert conductor.ledger.count(Status.COMPLETED) == conductor.ledger.count() == 4
