"""Searches whose trials have several workers each, on a real Ray: places, and processes that are lost."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from odd_groups import MODULES, telling
from ray_searches import ActorKiller, searched, two_places_held

from distill_tune.tuning.running.run import run_search
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280), pytest.mark.usefixtures("a_ray_with_dashboard")]


@pytest.mark.timeout(600)  # workers start twice, and the first time they are waited for
def test_several_workers_that_wait_for_places_are_told_of_and_can_be_interrupted(
    tmp_path: Path, preparation: Any
) -> None:
    for name in ("waiting", "next"):
        (tmp_path / name).mkdir()
    conductor, context = searched(tmp_path / "waiting", preparation, places=1, trials=1, workers=2)
    heard_of: list[str] = []

    def interrupt(line: str) -> None:
        heard_of.append(line)
        conductor.budget.interrupt.requested = True

    with two_places_held():
        run_search(conductor, context, interrupt)
    assert heard_of == ["waiting for a place, or for a process to start in it: the cluster has 1 of 3 CPUs free"]
    assert conductor.ledger.count(Status.INTERRUPTED) == conductor.ledger.count() == 1
    conductor, context = searched(tmp_path / "next", preparation, places=1, trials=1, workers=2)
    run_search(conductor, context)  # for ever, if what waited had its places now
    assert conductor.ledger.count(Status.COMPLETED) == 1


@pytest.fixture
def another_ray() -> Iterator[None]:
    """A second cluster on this machine, of another program."""
    code = "import ray; ray.init(address='local', num_cpus=1, log_to_driver=False); print('up', flush=True); input()"
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


def trained_by_two_workers(folder: Path, preparation: Any, killed: str, **others: Any) -> Ledger:
    """Two trials, one after the other, while whose first epoch a process of that name is killed."""
    conductor, context = searched(
        folder, preparation, ActorKiller(killed), places=1, trials=2, max_epochs=12, scheduler="none", workers=2
    )
    run_search(conductor, replace(context, **others))
    return conductor.ledger


@pytest.mark.usefixtures("another_ray")
def test_a_killed_trial_of_two_workers_gives_its_places_back_beside_another_ray_and_relays_without_pytorch(
    tmp_path: Path, preparation: Any
) -> None:
    ledger = trained_by_two_workers(tmp_path, preparation, "ray::Trial", group_of=telling)
    assert ledger.count(Status.COMPLETED) == ledger.count() == 2
    modules = set((tmp_path / MODULES).read_text().split())
    assert "distill_tune.tuning.workers.ray_train_group" in modules
    assert not modules & {"torch", "optuna", "sklearn", "tensorboard"}


def test_a_lost_mailbox_costs_no_trial(tmp_path: Path, preparation: Any) -> None:
    ledger = trained_by_two_workers(tmp_path, preparation, "ray::Mailbox")
    assert [r.status for r in ledger.records.values()] == [Status.COMPLETED] * 2
    assert [len(r.reports) for r in ledger.records.values()] == [12, 12]
