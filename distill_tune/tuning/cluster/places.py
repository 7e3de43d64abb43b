"""How many trials fit at a time, on this machine or on a cluster's nodes.

A worker runs on one node, and a fraction of a GPU on one GPU, so room is counted node by node: Ray would wait for ever
for what only all nodes together have.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from distill_tune.config.searching import ResourcesConfig
from distill_tune.errors import ConfigError

Node = Mapping[str, float]
"""Resources of a node, by Ray's names: CPU, GPU and others."""

CLUSTER = "the whole cluster"

_ROUNDING = 1e-9
"""So that 1 / 0.2 gives 5."""


def places_of_this_machine(resources: ResourcesConfig, must_fit: bool = False) -> int:
    """Number of trials that fit on this machine, at least one; for planning, before there is a cluster.

    Raises:
        ConfigError: not even one trial fits, and it `must_fit`.
    """
    try:
        room = room_on([this_machine(resources.gpus_per_worker > 0)], resources, "this machine")
    except ConfigError:
        if must_fit:
            raise
        room = 1
    return min(room, resources.concurrent_trials or room)


def places_of_the_cluster(resources: ResourcesConfig) -> int:
    """Number of trials that fit on the nodes that are up, capped at the number requested.

    Raises:
        ConfigError: not even one trial fits.
    """
    room = room_on(nodes_of_ray(), resources)
    return min(room, resources.concurrent_trials or room)


def nodes_of_ray() -> list[Node]:
    """Resources of the nodes that are up."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def idle_gpus(nodes: Sequence[Node], resources: ResourcesConfig) -> str:
    """A hint if no trial uses the existing GPUs; else an empty string."""
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    if resources.gpus_per_worker or not gpus:
        return ""
    where = "this machine" if len(nodes) == 1 else "the cluster"
    return f"no trial uses the {gpus:g} GPU{'s' * (gpus != 1)} of {where}; resources.gpus_per_worker = 1 gives each one"


def room_on(nodes: Sequence[Node], resources: ResourcesConfig, where: str = CLUSTER) -> int:
    """Number of trials that fit.

    Raises:
        ConfigError: none fits.
    """
    workers = sum(workers_on(node, resources) for node in nodes)
    if room := workers // resources.workers_per_trial:
        return room
    each, count = _in_words(_need(resources), resources), resources.workers_per_trial
    if workers:
        why = f"a trial needs {count} workers with {each} each, but {where} has room for {workers}"
    elif len(nodes) == 1:
        why = f"a worker needs {each}, but {where} has {_in_words(nodes[0], resources)}"
    else:
        have = " or ".join(dict.fromkeys(_in_words(node, resources) for node in nodes))
        why = f"a worker needs {each}, but no node has that: they have {have}"
    wait = ", or wait until its nodes are up (`ray status`)" if where == CLUSTER else ""
    raise ConfigError(f"resources: {why}; lower workers_per_trial, cpus_per_worker or gpus_per_worker{wait}.")


def workers_on(node: Node, resources: ResourcesConfig) -> int:
    """Number of workers that fit on a node by its CPUs and GPUs; a shared GPU holds whole workers only."""
    cpus, gpus = int(node.get("CPU", 0.0) / resources.cpus_per_worker), node.get("GPU", 0.0)
    share = resources.gpus_per_worker
    if not share:
        return cpus
    return min(cpus, int(gpus) * int(1 / share + _ROUNDING) if share < 1 else int(gpus / share))


def _need(resources: ResourcesConfig) -> Node:
    return {"CPU": resources.cpus_per_worker, "GPU": resources.gpus_per_worker}


def _in_words(node: Node, resources: ResourcesConfig) -> str:
    """A node's CPUs, and its GPUs if they are requested."""
    kinds = ["CPU", "GPU"] if resources.gpus_per_worker else ["CPU"]
    return " and ".join(f"{node.get(kind, 0.0):g} {kind}" for kind in kinds)


def this_machine(counts_gpus: bool = True) -> Node:
    """The resources that Ray will detect here by default, but only GPUs that PyTorch can use."""
    gpus = 0
    if counts_gpus:
        from torch import cuda

        gpus = cuda.device_count() if cuda.is_available() else 0  # the former counts even GPUs with too old a driver
    return {"CPU": float(cores()), "GPU": float(gpus)}


def cores(control: Path = Path("/sys/fs/cgroup")) -> int:
    """Number of cores of this machine, or of a container's quota or CPU set; counted as Ray will.

    `control` is where the container's limits are: https://docs.kernel.org/admin-guide/cgroup-v2.html, and those of
    version 1 in `cpu/` and `cpuset/`. Fractions of a core are dropped: less than one gives zero.
    """
    machine = os.cpu_count() or 1
    if os.environ.get("RAY_USE_MULTIPROCESSING_CPU_COUNT"):
        return machine
    return int(min(machine, _quota(control), _size_of_set(control)))


def _quota(control: Path) -> float:
    """CPU time quota in cores; infinite without a quota."""
    first = control / "cpu"
    given = [_said(first / "cpu.cfs_quota_us"), _said(first / "cpu.cfs_period_us")]
    quota, period = given if all(given) else (_said(control / "cpu.max").split() or ["max", "1"])
    return int(quota) / int(period) if quota.isdecimal() else math.inf  # no quota is "max", or -1


def _size_of_set(control: Path) -> float:
    """Number of cores in version 1's CPU set, such as "0-2,7"; infinite without one."""
    ranges = [part.split("-") for part in _said(control / "cpuset" / "cpuset.cpus").split(",") if part]
    return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges) or math.inf


def _said(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # another system, or no container
        return ""


def free_places() -> str:
    """What the cluster has free, e.g. "the cluster has 0 of 2 CPUs free"."""
    import ray

    have, free = ray.cluster_resources(), ray.available_resources()
    parts = [f"{free.get(kind, 0):g} of {have[kind]:g} {kind}s" for kind in ("CPU", "GPU") if kind in have]
    return f"the cluster has {' and '.join(parts) or 'nothing'} free"


def are_places_waited_for() -> bool:
    """Whether something of this program, such as a group of workers, waits for places and not just to start."""
    return bool(_waiting_places())


def drop_waiting_places() -> None:
    """Cancel the places that groups of several workers of this program still wait for.

    Ray removes these requests only with the program: once granted, they would be held for nothing, and whatever comes
    next in the same search would wait for ever. A group that is still needed requests its places again.
    """
    from ray._raylet import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    for digits in _waiting_places():
        remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(digits)))


def _waiting_places() -> list[str]:
    """IDs of placement groups that wait; the last digits of each identify its program."""
    import ray
    from ray.util.placement_group import placement_group_table

    program = ray.get_runtime_context().get_job_id()
    table = placement_group_table()
    return [digits for digits, group in table.items() if group["state"] == "PENDING" and digits.endswith(program)]
