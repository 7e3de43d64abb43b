"""A Ray that the search starts: its processes, that trials reuse its workers, and what these import."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray._private import ray_constants
from ray.experimental import internal_kv
from ray_searches import Meddler, actors_named, all_is_given_back, searched
from seen_processes import commands
from telling_group import MODULES, telling

from distill_tune.tuning.cluster.own_ray import is_own
from distill_tune.tuning.running.run import run_search
from distill_tune.tuning.state.records import Status, TrialRecord

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120), pytest.mark.usefixtures("a_ray")]

SPARED = ("ray/dashboard/dashboard.py", "ray/autoscaler/_private/monitor.py", "ray/_private/log_monitor.py")


def processes() -> dict[int, str]:
    return {process.pid: command for process, command in commands().items()}


def test_it_starts_nothing_that_a_search_has_no_use_for() -> None:
    assert is_own()
    started = [(command, process.ppid()) for process, command in commands().items()]
    running = [command for command, _ in started]
    raylets = [command for command, parent in started if "raylet/raylet" in command and parent == os.getpid()]
    assert len(raylets) == 1, running  # a worker just forked briefly has the raylet's command line
    assert not [each for each in running if any(spared in each for spared in SPARED)]
    where = internal_kv._internal_kv_get(
        ray_constants.DASHBOARD_ADDRESS, namespace=ray_constants.KV_NAMESPACE_DASHBOARD
    )
    assert where == b"127.0.0.1:0", "its agent would look for a dashboard each second, and log that there is none"


def test_its_agent_leaves_alone_the_port_that_another_ray_may_have() -> None:
    agents = [psutil.Process(pid) for pid, command in processes().items() if "DashboardAgent" in command]
    heard_at = {c.laddr.port for agent in agents for c in agent.net_connections() if c.status == psutil.CONN_LISTEN}
    assert heard_at
    assert ray_constants.DEFAULT_DASHBOARD_AGENT_LISTEN_PORT not in heard_at


def test_trials_take_the_workers_that_are_there_which_do_without_ray_tune(tmp_path: Path, preparation: Any) -> None:
    class Look(Meddler):
        there: frozenset[int] = frozenset()
        trial: int | None = None

        def trial_started(self, record: TrialRecord) -> None:
            self.there = self.there or frozenset(processes())

        def meddle(self, record: TrialRecord) -> None:
            self.trial = actors_named("ray::Trial")[0].pid

    @ray.remote
    def up() -> None:
        """Return once a worker is up."""

    ray.get([up.remote() for _ in range(3)])
    all_is_given_back()  # else Ray may start another worker for a trial that finds none idle
    looking = Look()
    conductor, context = searched(tmp_path, preparation, looking, places=1, trials=1)
    run_search(conductor, replace(context, group_of=telling))
    assert conductor.ledger.count(Status.COMPLETED) == 1
    assert looking.trial in looking.there, "before there was a trial"
    modules = set((tmp_path / MODULES).read_text().split())
    assert "torch" in modules
    assert not modules & {"ray.tune", "ray.train", "ray.data", "pandas", "optuna", "scipy", "sklearn", "tensorboard"}


def test_each_result_is_decided_on_whatever_tune_is_told_of_buffers(
    tmp_path: Path, preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_RESULT_BUFFER_LENGTH", "5")
    conductor, context = searched(tmp_path, preparation, places=1, trials=1)
    run_search(conductor, context)
    assert conductor.ledger.count(Status.COMPLETED) == 1
