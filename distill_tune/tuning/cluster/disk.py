"""The disk of a node: asked directly by whoever is on the node, and through an actor by nodes that have other disks.

The actor keeps nothing between two calls, so that Ray may start it again, and what it is asked for may be asked again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill_tune.atomic import new_file

_AT_A_TIME = 16
"""Calls that the actor answers side by side."""


class Disk:
    """Files by their paths on the node; raises OSError as they do."""

    def read(self, path: Path) -> bytes:
        """A file; empty where there is none."""
        return path.read_bytes() if path.exists() else b""

    def write(self, path: Path, content: bytes) -> None:
        """A file, whole or not at all."""
        with new_file(path) as temporary:
            temporary.write_bytes(content)

    def append(self, path: Path, content: bytes) -> None:
        """Behind what a file has, which is made if it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)

    def sizes(self, folder: Path) -> dict[Path, int]:
        """Of all files in a folder and those below it, by their names in there, in bytes."""
        return {path.relative_to(folder): path.stat().st_size for path in folder.rglob("*") if path.is_file()}

    def part(self, path: Path, begin: int, count: int) -> bytes:
        """`count` bytes of a file, or what it has of them."""
        with path.open("rb") as file:
            file.seek(begin)
            return file.read(count)


def disk_of_this_node(name: str) -> Any:
    """The actor for other nodes, on the node of whoever asks; `ray.get_actor(name)` is it as long as this is held."""
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
    """What the actor answers.

    Raises:
        OSError: what it raised, as if it had been raised here.
    """
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
