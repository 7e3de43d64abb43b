"""The disk of a node: accessed directly on that node, and through an actor from nodes with other disks.

The actor keeps no state between calls, so Ray may restart it, and calls may be repeated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill_tune.atomic import new_file

_AT_A_TIME = 16
"""Number of calls that the actor handles concurrently."""


class Disk:
    """Accesses files by their paths on the node; raises OSError as usual."""

    def read(self, path: Path) -> bytes:
        """Content of a file; empty if there is none."""
        return path.read_bytes() if path.exists() else b""

    def write(self, path: Path, content: bytes) -> None:
        """Write a file completely or not at all."""
        with new_file(path) as temporary:
            temporary.write_bytes(content)

    def append(self, path: Path, content: bytes) -> None:
        """Append to a file, creating it if needed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)

    def sizes(self, folder: Path) -> dict[Path, int]:
        """Sizes in bytes of all files in a folder and below, by relative path."""
        return {path.relative_to(folder): path.stat().st_size for path in folder.rglob("*") if path.is_file()}

    def part(self, path: Path, begin: int, count: int) -> bytes:
        """`count` bytes of a file from `begin` on, or fewer at its end."""
        with path.open("rb") as file:
            file.seek(begin)
            return file.read(count)


def disk_of_this_node(name: str) -> Any:
    """The actor for other nodes, on this node; `ray.get_actor(name)` finds it as long as the handle is held."""
    import ray

    from distill_tune.tuning.cluster.pinning import on_this_node

    made = ray.remote(Disk).options(
        name=name,
        num_cpus=0,
        max_concurrency=_AT_A_TIME,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=on_this_node(),
    )
    return made.remote()


def answer_of(reference: Any) -> Any:
    """The actor's answer.

    Raises:
        OSError: what it raised, as if raised here.
    """
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
