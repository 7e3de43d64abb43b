"""Searches with several workers per trial, on a real Ray: places, and lost processes."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from odd_groups import MODULES, telling
from ray.util import placement_group_table
from ray_searches import actors_named, all_is_given_back, eventually, searched, two_places_held

from distill_tune.tuning.running import tune_adapters
from distill_tune.tuning.running.run import run_search
from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import Status, TrialRecord

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280), pytest.mark.usefixtures("a_ray_with_dashboard")]


def test_several_workers_that_wait_for_places_are_told_of_and_can_be_interrupted(
    tmp_path: Path, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune_adapters, "PATIENCE_S", 5.0)
    conductor, context = searched(tmp_path, preparation, places=1, trials=1, workers=2)
    heard_of: list[str] = []

    def interrupt(line: str) -> None:
        heard_of.append(line)
        conductor.budget.interrupt.requested = True

    with two_places_held():
        run_search(conductor, context, interrupt)
    assert heard_of == ["waiting for a place, or for a process to start in it: the cluster has 1 of 3 CPUs free"]
    assert conductor.ledger.count(Status.INTERRUPTED) == conductor.ledger.count() == 1
    eventually(lambda: {each["state"] for each in placement_group_table().values()} == {"REMOVED"})
    all_is_given_back()  # never, if the group had its places now


@pytest.fixture
def another_ray() -> Iterator[None]:
    """Another program's Ray cluster on this machine."""
    code = (
        "from distill_tune.tuning.cluster.own_ray import start_own_ray;"
        "start_own_ray(False, log_to_driver=False, num_cpus=1); print('up', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        next(line for line in other.stdout if line.startswith("up"))
        yield
        other.stdin.close()


class InTurn(Watcher):
    """Kills one process per name in turn, each at the first report of another trial."""

    def __init__(self, *names: str):
        self.left, self._met = list(names), set[str]()

    def trial_reported(self, record: TrialRecord) -> None:
        if self.left and record.trial_id not in self._met:
            self._met.add(record.trial_id)
            actors_named(self.left.pop(0))[0].kill()


@pytest.mark.usefixtures("another_ray")
def test_a_killed_trial_of_two_workers_or_its_lost_mailbox_costs_no_trial_beside_another_ray_and_relays_without_pytorch(
    tmp_path: Path, preparation: Any
) -> None:
    killers = InTurn("ray::Trial", "ray::Mailbox")
    conductor, context = searched(
        tmp_path, preparation, killers, places=1, trials=2, max_epochs=12, scheduler="none", workers=2
    )
    run_search(conductor, replace(context, group_of=telling))
    assert killers.left == []
    records = conductor.ledger.records.values()
    assert [record.status for record in records] == [Status.COMPLETED] * 2
    assert [[report["epoch"] for report in record.reports] for record in records] == [list(range(1, 13))] * 2
    modules = set((tmp_path / MODULES).read_text().split())
    assert "distill_tune.tuning.workers.ray_train_group" in modules
    assert not modules & {"torch", "optuna", "sklearn", "tensorboard"}
