"""A submitted search has the cores of its node, although Ray's job server gives it one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distill_tune.tuning.cluster import places
from distill_tune.tuning.cluster.submitted import use_all_cores_in_a_job

JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@pytest.fixture(autouse=True)
def five_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "cores", lambda: 5)


def threads_of(monkeypatch: pytest.MonkeyPatch, threads: str | None, job: dict[str, Any] | None) -> str | None:
    """OMP_NUM_THREADS of a search with these variables, once it has begun."""
    for name, value in (("OMP_NUM_THREADS", threads), (JOB, None if job is None else json.dumps(job))):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    use_all_cores_in_a_job()
    return os.environ.get("OMP_NUM_THREADS")


@pytest.mark.parametrize("runtime_env", [{}, {"env_vars": None}, {"env_vars": {"PYTHONUNBUFFERED": "1"}}])
def test_a_job_to_which_ray_has_given_one_thread_has_all_cores(
    monkeypatch: pytest.MonkeyPatch, runtime_env: dict[str, Any]
) -> None:
    assert threads_of(monkeypatch, "1", {"runtime_env": runtime_env, "metadata": {}}) == "5"


def test_a_job_on_less_than_a_core_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "cores", lambda: 0)
    assert threads_of(monkeypatch, "1", {}) == "1"


@pytest.mark.parametrize(
    ("threads", "job"),
    [
        ("1", {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}}}),
        ("3", {"runtime_env": {}}),
        (None, {"runtime_env": {}}),
        ("1", None),
    ],
    ids=["it asks for one", "the nodes have another number", "nobody has said anything", "it is no job"],
)
def test_what_the_user_has_set_stays(
    monkeypatch: pytest.MonkeyPatch, threads: str | None, job: dict[str, Any] | None
) -> None:
    assert threads_of(monkeypatch, threads, job) == threads


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="PyTorch takes no more threads than there are cores")
def test_the_command_sets_it_before_pytorch_is_loaded(tmp_path: Path) -> None:
    lines = (
        "import os, sys",
        "from distill_tune.tuning.cluster import places",
        "places.cores = lambda: 2",
        "from distill_tune.search import main",
        "assert 'torch' not in sys.modules",
        "assert main(['nowhere.toml']) == 2",
        "import torch",
        "assert torch.get_num_threads() == 2, torch.get_num_threads()",
    )
    environment = os.environ | {JOB: "{}", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, env=environment, cwd=tmp_path)
