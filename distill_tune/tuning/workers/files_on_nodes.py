"""The files of a session on a cluster: marked for its workers, and removed from other nodes at its end."""

from __future__ import annotations

import fcntl
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ray

from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.tuning.cluster.disk import Disk, answer_of, disk_of_this_node
from distill_tune.tuning.cluster.own_ray import is_own
from distill_tune.tuning.cluster.pinning import on_node, other_nodes
from distill_tune.tuning.cluster.places import workers_on
from distill_tune.tuning.workers.files import MARK, Files, place_of

_PATIENCE_S = 10.0
"""How long nodes may take to report their free space, and to remove what was copied to them."""


@contextmanager
def files_of(folder: Path, go_on: str = "--resume") -> Iterator[Files]:
    """The files of a folder, for the workers of a session on any node of the cluster.

    What killed earlier sessions copied to nodes is removed. A session holds a lock on its mark, since another search
    may be using the same cache. `go_on` is what the user does once a node is mended.
    """
    for left in folder.glob(f"{MARK}*"):
        if _is_of_a_killed_one(left):
            _forget(left)
    if is_own():
        yield Files(folder)
        return
    mark = secrets.token_hex(16)
    told = folder / f"{MARK}{mark}"
    with told.open("w") as held:
        with suppress(OSError):  # file system without locks
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        disk = disk_of_this_node(mark)
        try:
            yield Files(folder, mark, go_on)
        finally:
            with suppress(ray.exceptions.RayError):  # the cluster is gone, and its nodes' disks with it
                _forget(told)
                ray.kill(disk)


def _is_of_a_killed_one(mark: Path) -> bool:
    try:
        with mark.open("r+") as left:  # NFS locks only files opened for writing
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:  # it is locked, has just gone, or cannot be locked
        return False


def _forget(told: Path) -> None:
    """Remove a session's mark, and what it copied to nodes.

    All nodes are asked, since with the driver's disk full none could record that it received something. A node that
    does not answer keeps its copy until its temporary folder is emptied.
    """
    mark, others = told.name.removeprefix(MARK), [node["NodeID"] for node in other_nodes()]
    try:
        remove = ray.remote(num_cpus=0, max_retries=0)(_remove_here)
        if asked := [remove.options(scheduling_strategy=on_node(node)).remote(mark) for node in others]:
            ray.wait(asked, num_returns=len(asked), timeout=_PATIENCE_S)
    finally:
        told.unlink(missing_ok=True)


def _remove_here(mark: str) -> None:
    shutil.rmtree(place_of(mark), ignore_errors=True)


def check_nodes_have_room(files: Files, prepared: Prepared, resources: ResourcesConfig) -> None:
    """Check before trials start that the nodes have free space and take files, without which no trial can train there.

    A node that does not answer is not waited for.

    Raises:
        StorageError: a node that may train has too little, or takes no files.
    """
    if not files.mark:
        return
    num_bytes = sum(sum(Disk().sizes(folder).values()) for folder in _folders_of(prepared))
    train = [node["NodeID"] for node in other_nodes() if workers_on(node["Resources"], resources)]
    look = ray.remote(num_cpus=0, max_retries=0)(_check_room_here)
    asked = [look.options(scheduling_strategy=on_node(node)).remote(files, num_bytes) for node in train]
    for answer in ray.wait(asked, num_returns=len(asked), timeout=_PATIENCE_S)[0] if asked else ():
        with suppress(ray.exceptions.RayError):  # the node has gone meanwhile
            answer_of(answer)


def _folders_of(prepared: Prepared) -> set[Path]:
    found = set[Path]()

    def note(folder: Path) -> Path:
        found.add(folder)
        return folder

    prepared.moved(note)
    return found


def _check_room_here(files: Files, num_bytes: int) -> None:
    if files.are_here:
        return
    with files.fault_of_this_node():
        place = place_of(files.mark)
        files.check_room_at(place, num_bytes)
        tempfile.TemporaryFile(dir=place.parent).close()
