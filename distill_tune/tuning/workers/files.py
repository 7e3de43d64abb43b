"""The files of a search from wherever a worker runs, so that a cluster needs no file system which all nodes share.

Where a node has the driver's disk, itself or through a network, they are read and written there. Elsewhere checkpoints,
students and logs go through an actor on the driver's node (`cluster/disk.py`), and what was prepared is brought to the
node once, for all its workers to map into memory. Which of both it is, each process sees for itself by a mark that the
driver has made: nodes may come and go.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

from distill_tune.atomic import alone_in, new_folder
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import StorageError
from distill_tune.room import free_bytes, in_bytes
from distill_tune.tuning.cluster.disk import Disk, answer_of

_P = ParamSpec("_P")
_T = TypeVar("_T")

MARK = ".driver-"
"""The name of a file that only the driver's disk can have begins so, and ends with the session's mark; it outlives a
killed driver, and says by what name nodes have what was brought to them."""
_PART_BYTES = 32 << 20
"""What is brought at a time, so that large files need not fit into memory."""


@dataclass(frozen=True)
class Files:
    """Paths are the driver's, in a search's folder."""

    folder: Path = Path()
    """The search's."""
    mark: str = ""
    """Of this session, and the name of its actor; empty where every process is on the driver's node."""

    @property
    def are_here(self) -> bool:
        """Whether this process has the driver's disk."""
        return not self.mark or _has(self.folder, self.mark)

    def read(self, path: Path) -> bytes:
        """A file; empty where there is none."""
        return self._ask(Disk.read, path)

    def write(self, path: Path, content: bytes) -> None:
        """A file, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        self._ask(Disk.write, path, content)

    def append(self, path: Path, content: bytes) -> None:
        """Behind what a file has.

        Raises:
            OSError: it cannot be written.
        """
        self._ask(Disk.append, path, content)

    def own(self, path: Path) -> Path:
        """A path for what only this node reads and writes: it need not be on the driver's disk."""
        return path if self.are_here else place_of(self.mark) / path.relative_to(self.folder)

    def brought(self, prepared: Prepared) -> Prepared:
        """Data and teachers where this process can map them.

        Raises:
            StorageError: they were to be brought to this node, which has no room for them.
        """
        return prepared if self.are_here else prepared.moved(self._brought)

    def _ask(self, what: Callable[Concatenate[Disk, _P], _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        if self.are_here:
            return what(Disk(), *arguments, **named)
        import ray

        method = getattr(ray.get_actor(self.mark), what.__name__)
        return cast("_T", answer_of(method.remote(*arguments, **named)))

    def _brought(self, folder: Path) -> Path:
        place = self.own(folder)
        if place.exists():  # then it is whole
            return place
        with alone_in(place.parent, before_waiting=lambda: None):
            if not place.exists():
                sizes = self._ask(Disk.sizes, folder)
                check_room_at(place, sum(sizes.values()))
                with new_folder(place) as new:
                    for name, size in sizes.items():
                        self._bring(folder / name, size, new / name)
        return place

    def _bring(self, path: Path, size: int, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("wb") as file:
            for begin in range(0, size, _PART_BYTES):
                file.write(self._ask(Disk.part, path, begin, _PART_BYTES))


def place_of(mark: str) -> Path:
    """What a node with another disk has of a search's folder."""
    return Path(tempfile.gettempdir(), f"distill_tune-{mark}")


def check_room_at(place: Path, num_bytes: int) -> None:
    """Whether this node has room for what is to be brought.

    Raises:
        StorageError: it has not.
    """
    import ray

    if num_bytes > (free := free_bytes(place)):
        raise StorageError(
            f"{tempfile.gettempdir()} of node {ray.util.get_node_ip_address()} has {in_bytes(free)} free, but the "
            f"prepared data need {in_bytes(num_bytes)}; make room, or start its Ray with another TMPDIR, and --resume."
        )


HERE = Files()
"""Every path is one of this process's own."""


@cache
def _has(folder: Path, mark: str) -> bool:
    """Whether this process finds the mark, and may write beside it."""
    try:
        (folder / f"{MARK}{mark}").stat()
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
