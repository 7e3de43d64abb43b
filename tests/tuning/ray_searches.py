"""Conducted searches on a real Ray, and what meddles with them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import ray
from seen_processes import commands
from small import TABLES

from distill_tune.config.space import Space
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.state.ledger import Ledger, Watcher
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.workers.trial import TrialContext


def searched(
    tmp_path: Path, preparation: Any, watcher: Watcher | None = None, places: int = 2, **search: Any
) -> tuple[Conductor, TrialContext]:
    tables = json.loads(json.dumps(TABLES))
    loss, lanes = search.pop("loss", None), search.pop("lanes", 1)
    tables["resources"] = {"workers_per_trial": search.pop("workers", 1)}
    tables["search"] |= search
    if loss is not None:
        tables["loss"] = loss
    space = Space.parse(tables)
    settings = space.config.search
    ledger = Ledger(watchers=[watcher] if watcher else [])
    conductor = Conductor(
        Study(tmp_path / "study.journal", "s", space),
        settings.chosen("scheduler").judge(settings),
        ledger,
        Budget(settings.trials),
        Limits(space.config.limits, preparation.dataset),
        places * lanes,
    )
    if isinstance(watcher, Meddler):
        watcher.conductor = conductor
    return conductor, TrialContext(space, preparation.prepared, tmp_path, lanes=lanes)


class Meddler(Watcher):
    """Does something once, at the first report."""

    def __init__(self) -> None:
        self.conductor: Conductor | None = None
        self.done = False

    def trial_reported(self, record: TrialRecord) -> None:
        if not self.done:
            self.done = True
            self.meddle(record)

    def meddle(self, record: TrialRecord) -> None:
        raise NotImplementedError


def eventually(condition: Callable[[], bool], tries: int = 200) -> None:
    """Poll Ray until it agrees."""
    for _ in range(tries):
        if condition():
            return
        time.sleep(0.05)  # between polls; nothing is assumed to be done by then
    raise AssertionError("Ray never agreed")


def all_is_given_back() -> None:
    """Wait until all places are free: Ray is slow to release those of earlier tests and of finished tasks."""
    places = ray.cluster_resources()["CPU"]
    eventually(lambda: bool(ray.available_resources().get("CPU") == places), tries=600)


def actors_named(name: str) -> list[psutil.Process]:
    seen = commands()
    found = [process for process, command in seen.items() if name in command]
    assert found, sorted(set(seen.values()))
    return found


class ActorKiller(Meddler):
    """Kills an actor once, by its process name."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def meddle(self, record: TrialRecord) -> None:
        with suppress(psutil.NoSuchProcess):
            actors_named(self.name)[0].kill()


def ended_by_failures(conductor: Conductor, folder: Path, most: int) -> None:
    assert conductor.budget.ended_by is Reason.FAILURES
    failed = [r for r in conductor.ledger.records.values() if r.status is Status.FAILED]
    assert 5 <= len(failed) <= most
    assert all("ValueError: this loss is broken" in r.message for r in failed)
    assert "Traceback" in (folder / "logs" / f"{failed[0].trial_id}.txt").read_text()


class Busy:
    """Holds places others wait for."""

    def up(self) -> None:
        """Return once it has them."""


@contextmanager
def two_places_held() -> Iterator[None]:
    """Hold two places; all others are free."""
    all_is_given_back()
    busy = ray.remote(Busy).options(num_cpus=2).remote()
    ray.get(busy.up.remote())
    try:
        yield
    finally:
        ray.kill(busy)
