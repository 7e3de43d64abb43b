"""Places for trials: the available cores, and what each single node has room for."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from fitted_spaces import fitted
from ray._private.utils import _get_docker_cpus, get_num_cpus

from distill_tune.config.searching import ResourcesConfig
from distill_tune.errors import ConfigError
from distill_tune.tuning.cluster.places import cores, idle_gpus, places_of_this_machine, room_on, this_machine
from distill_tune.tuning.search_context import SearchContext

rays_own_files = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Ray does not close the file that it reads."""


@rays_own_files
@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 0),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n", "cpuset/cpuset.cpus": "0-2,7\n"}, 4),
    ],
)
def test_a_containers_cores_are_those_that_ray_will_find(
    tmp_path: Path, files: dict[str, str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores(tmp_path) == count
    names = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpuset/cpuset.cpus", "cpu.max")
    of_ray = _get_docker_cpus(*(str(tmp_path / name) for name in names))
    assert count == min(8, int(of_ray or 8))


@rays_own_files
def test_this_machines_cores_are_as_many_as_ray_finds() -> None:
    assert cores() == get_num_cpus(override_docker_cpu_warning=True)


@pytest.mark.parametrize(
    ("cpus", "gpus", "workers", "nodes", "room"),
    [
        (8, 0, 1, [{"CPU": 12}, {"CPU": 12}], 2),
        (1, 0, 3, [{"CPU": 2}, {"CPU": 2}], 1),
        (1, 0, 1, [{}, {"CPU": 2}], 2),
        (1, 0.6, 1, [{"CPU": 9, "GPU": 2}], 2),
        (1, 0.2, 1, [{"CPU": 9, "GPU": 1}], 5),
        (1, 2, 1, [{"CPU": 9, "GPU": 3}, {"CPU": 9, "GPU": 1}, {"CPU": 9}], 1),
        (4, 0.25, 1, [{"CPU": 9, "GPU": 1}], 2),
    ],
)
def test_room_is_counted_on_each_node_by_itself(
    cpus: int, gpus: float, workers: int, nodes: list[dict[str, float]], room: int
) -> None:
    need = ResourcesConfig(workers_per_trial=workers, cpus_per_worker=cpus, gpus_per_worker=gpus)
    assert room_on(nodes, need) == room


@pytest.mark.parametrize(
    ("cpus", "gpus", "workers", "said"),
    [
        (16, 0, 1, "a worker needs 16 CPU, but no node has that: they have 8 CPU or 0 CPU"),
        (1, 2, 1, "a worker needs 1 CPU and 2 GPU, but no node has that: they have 8 CPU and 1 GPU or "),
        (4, 0, 5, "a trial needs 5 workers with 4 CPU each, but the whole cluster has room for 4"),
    ],
)
def test_what_no_node_can_host_is_refused_though_all_together_have_as_much(
    cpus: int, gpus: float, workers: int, said: str
) -> None:
    need = ResourcesConfig(workers_per_trial=workers, cpus_per_worker=cpus, gpus_per_worker=gpus)
    with pytest.raises(ConfigError, match=f"^resources: {said}.*; lower workers_per_trial"):
        room_on([{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}, {}], need)


def test_a_cluster_whose_nodes_are_not_up_yet_may_be_waited_for() -> None:
    head = [{"CPU": 0.0}]
    with pytest.raises(ConfigError, match=r"0 CPU; lower .*, or wait until its nodes are up \(`ray status`\)\.$"):
        room_on(head, ResourcesConfig())
    with pytest.raises(ConfigError, match=r"0 CPU; lower workers_per_trial, cpus_per_worker or gpus_per_worker\.$"):
        room_on(head, ResourcesConfig(), "this machine")


@pytest.mark.parametrize(
    ("nodes", "share", "said"),
    [
        (
            [{"CPU": 8, "GPU": 1}, {"CPU": 8, "GPU": 1}, {}],
            0,
            "no trial uses the 2 GPUs of the cluster; res",
        ),
        ([{"CPU": 8, "GPU": 1}], 0, "no trial uses the 1 GPU of this machine; res"),
        ([{"CPU": 8, "GPU": 1}], 0.5, ""),
        ([{"CPU": 8}, {}], 0, ""),
    ],
)
def test_gpus_that_no_trial_uses_are_told(nodes: list[dict[str, float]], share: float, said: str) -> None:
    found = idle_gpus(nodes, ResourcesConfig(gpus_per_worker=share))
    assert found.startswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize(("room", "trials", "places"), [(8, 3, 3), (2, 30, 2)])
def test_a_confirmation_may_have_more_places_than_the_search_has_trials(
    preparation: Any, room: int, trials: int, places: int
) -> None:
    found, _ = fitted(preparation, search={"trials": trials})
    context = SearchContext(None, found, preparation, room, 0.0)  # type: ignore[arg-type]
    assert (context.places, context.room) == (places, room)


@pytest.mark.parametrize(("is_available", "count"), [(True, 1), (False, 0)])
def test_a_gpu_whose_driver_is_too_old_for_pytorch_is_no_place(
    monkeypatch: pytest.MonkeyPatch, is_available: bool, count: int
) -> None:
    """NVML counts it all the same."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert this_machine()["GPU"] == count
    with nullcontext() if count else pytest.raises(ConfigError, match=r"but this machine has .* and 0 GPU; lower"):
        assert places_of_this_machine(ResourcesConfig(gpus_per_worker=1), must_fit=True) == count
