"""A search on a cluster of two nodes, as processes on this machine: a lost raylet, and nodes without a shared disk."""

import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster
from searches import SMALL, entries, summary, trials

from distill_tune.tuning.running.run import desk_here
from distill_tune.tuning.workers.ray_train_group import mailbox_here

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]

TRIALS = 20
HERE = [*SMALL, "--set", "resources.concurrent_trials=2", "--trials", str(TRIALS)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head with one place for a trial."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()


def command(cluster: Cluster, storage: Path, name: str = "two") -> list[str]:
    to = ["--address", cluster.address, "--storage", str(storage), "--name", name]
    return [sys.executable, "-m", "distill_tune.search", *to, *HERE]


def is_trial(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("ray::Trial")
    except psutil.NoSuchProcess:
        return False


def test_a_search_whose_second_node_dies_goes_on_on_the_first(cluster: Cluster, tmp_path: Path) -> None:
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    (raylet,) = (kept.process for kept in second.all_processes["raylet"])
    with subprocess.Popen(
        command(cluster, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as search:
        assert search.stdout is not None
        said, lost = list[str](), list[psutil.Process]()
        for line in search.stdout:
            said.append(line)
            lost = [each for each in psutil.Process(raylet.pid).children(recursive=True) if is_trial(each)]
            if lost and any(" leads at epoch " in each for each in said):
                break
        raylet.send_signal(signal.SIGKILL)
        raylet.wait()  # workers check whether it lives, and a zombie would pass
        rest, errors = search.communicate(timeout=240)
    assert (search.returncode, errors) == (0, "")
    assert "log_dir" not in "".join([*said, rest])
    found, rows = summary(tmp_path / "two"), trials(tmp_path / "two")
    assert found["status"] == "complete"
    assert found["concurrent_trials"] == 2
    assert found["trials"]["completed"] + found["trials"]["stopped"] == found["trials"]["total"] == TRIALS
    assert len({row["trial"] for row in rows}) == len(rows)
    ends = Counter(
        each["trial_id"] for each in entries(tmp_path / "two") if each["entry"] == "ended" and "trial_id" in each
    )
    assert set(ends.values()) == {1}
    assert lost, "no trial was at work on the node that was killed"
    assert psutil.wait_procs(lost, timeout=60)[1] == []
    cluster.worker_nodes.remove(second)  # or the next test waits for it


def test_a_worker_that_only_both_nodes_together_have_room_for_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    second = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    large = [*command(cluster, tmp_path), "--set", "resources.cpus_per_worker=3"]
    refused = subprocess.run(large, capture_output=True, text=True, timeout=200, check=False)
    cluster.remove_node(second)
    said = "error: resources: a worker needs 3 CPU, but no node has that: they have "
    assert refused.returncode == 2
    assert refused.stderr.startswith(said)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def joined(cluster: Cluster) -> Iterator[str]:
    """Connect this process to the head of two nodes; yields the head's ID."""
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield ray.get_runtime_context().get_node_id()
    ray.shutdown()
    cluster.remove_node(second)


@pytest.mark.parametrize("make", [desk_here, mailbox_here])
def test_what_a_search_or_a_trial_cannot_do_without_lies_on_its_own_node(
    joined: str, make: Callable[[int], Any]
) -> None:
    made = [make(2) for _ in range(4)]
    where = [each.__ray_call__.remote(lambda it: ray.get_runtime_context().get_node_id()) for each in made]
    assert set(ray.get(where)) == {joined}


@pytest.fixture(scope="module")
def away(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A folder that is another disk on the second node, which has one place, like the first.

    Also yields that node's 4 MiB folder for temporary files, as that node sees it.
    """
    folder, temporary = (tmp_path_factory.mktemp(name) for name in ("results", "temporary"))
    mount = " && ".join(f"mount -t tmpfs -o size=4m none {shlex.quote(str(each))}" for each in (folder, temporary))
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("only a superuser may give a process another disk")
    join = (
        f"{shlex.quote(sys.executable)} -m ray.scripts.scripts start --address {cluster.address} --num-cpus 1 --block"
    )
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "TMPDIR": str(temporary)}
    node = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", f"{mount} && exec {join}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )
    with node:
        assert node.stdout is not None
        next(line for line in node.stdout if "Ray runtime started" in line)
        yield folder, Path(f"/proc/{node.pid}/root{temporary}")
        family = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        for each in family:
            each.kill()
        psutil.wait_procs(family, timeout=30)


def test_a_node_with_another_disk_trains_and_confirms_as_others_do_and_keeps_nothing(
    cluster: Cluster, away: tuple[Path, Path]
) -> None:
    storage, temporary = away
    asked = [*command(cluster, storage), "--trials", "12", "--set", "search.scheduler='promotion'"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=250, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"1 of 2 nodes have another disk at {storage} (node " in done.stdout
    result = storage / "two"
    found, ends = summary(result), [each for each in entries(result) if each["entry"] in ("paused", "ended")]
    assert (found["status"], found["concurrent_trials"]) == ("complete", 2)
    assert any(each["entry"] == "paused" for each in ends), "no checkpoint had to come and go"
    assert found["best"]["test"]["accuracy"]["seeds"] == 2
    assert len(list((result / "confirmation").glob("*.safetensors"))) == 6
    assert not (result / "checkpoints").exists()
    assert [path for path in result.iterdir() if path.name.startswith(".")] == []
    assert list(temporary.iterdir()) == []


def test_a_node_without_room_for_what_was_prepared_is_named_before_its_trials_fail(
    cluster: Cluster, away: tuple[Path, Path]
) -> None:
    its_own = ["--set", "teacher.mlp.widths=[32]", "--set", "teacher.views=100"]  # some 46 kB each
    asked = [*command(cluster, away[0], "large"), *its_own]
    refused = subprocess.run(asked, capture_output=True, text=True, timeout=250, check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: /")
    assert " has 4.2 MB free, but the prepared data need " in refused.stderr
    assert "tried" not in refused.stdout
    assert [path for path in (away[0] / "large").iterdir() if path.name.startswith(".")] == []


def test_workers_of_one_trial_are_on_nodes_that_share_no_disk(cluster: Cluster, away: tuple[Path, Path]) -> None:
    storage, temporary = away
    both = ["--set", "resources.workers_per_trial=2", "--set", "resources.concurrent_trials=1", "--trials", "1"]
    short = ["--set", "search.max_epochs=3", "--set", "data.passes=1"]
    done = subprocess.run(
        [*command(cluster, storage, "spread"), *both, *short], capture_output=True, text=True, timeout=270, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["status"] for row in trials(storage / "spread")] == ["completed"]
    assert summary(storage / "spread")["best"]["test"]["accuracy"]["seeds"] == 2
    assert list(temporary.iterdir()) == []
