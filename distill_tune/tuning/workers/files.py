"""Access to a search's files from any node, so that a cluster needs no shared file system.

If a node has the driver's disk, directly or over a network, files are read and written there. Elsewhere, checkpoints,
students and logs go through an actor on the driver's node (`cluster/disk.py`), and the prepared data are copied to the
node once, for all its workers to map into memory. Each process decides which case applies by looking for a mark file
made by the driver, because nodes may come and go.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
"""Prefix of the mark file, which only the driver's disk can have; the session's mark follows.

It outlives a killed driver, and names the folder in which nodes keep what was copied to them.
"""
_PART_BYTES = 32 << 20
"""Bytes copied at a time, so that large files need not fit into memory."""


@dataclass(frozen=True)
class Files:
    """Reads and writes files in a search's folder; paths are the driver's."""

    folder: Path = Path()
    """The search's folder."""
    mark: str = ""
    """The session's mark, and the name of its actor; empty if every process is on the driver's node."""
    go_on: str = "--resume"
    """What the user does once a node is mended: "begin again" while there is nothing to resume."""

    @property
    def are_here(self) -> bool:
        """Whether this process can access the driver's disk."""
        return not self.mark or _has(self.folder, self.mark)

    def read(self, path: Path) -> bytes:
        """Content of a file; empty if there is none."""
        return self._ask(Disk.read, path)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file completely or not at all.

        Raises:
            OSError: it cannot be written.
        """
        self._ask(Disk.write, path, content)

    def append(self, path: Path, content: bytes) -> None:
        """Append to a file.

        Raises:
            OSError: it cannot be written.
        """
        self._ask(Disk.append, path, content)

    def own(self, path: Path) -> Path:
        """A path for files that only this node uses, which need not be on the driver's disk."""
        return path if self.are_here else place_of(self.mark) / path.relative_to(self.folder)

    def brought(self, prepared: Prepared) -> Prepared:
        """Data and teachers in a place where this process can map them into memory.

        Raises:
            StorageError: they must be copied to this node, which has no room for them or cannot write them.
        """
        return prepared if self.are_here else prepared.moved(self._brought)

    def _ask(self, what: Callable[Concatenate[Disk, _P], _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        if self.are_here:
            return what(Disk(), *arguments, **named)
        import ray

        method = getattr(ray.get_actor(self.mark), what.__name__)
        return cast("_T", answer_of(method.remote(*arguments, **named)))

    def _brought(self, folder: Path) -> Path:
        with self.fault_of_this_node():
            place = self.own(folder)
            if place.exists():  # then it is complete
                return place
            with alone_in(place.parent, before_waiting=lambda: None):
                if not place.exists():
                    self._copy(folder, place)
        return place

    def _copy(self, folder: Path, place: Path) -> None:
        sizes = self._of_drivers(Disk.sizes, folder)
        if not sizes:
            raise StorageError(f"{folder}: is missing on the driver's node; put it back, and {self.go_on}.")
        self.check_room_at(place, sum(sizes.values()))
        with new_folder(place) as new:
            for name, size in sizes.items():
                self._bring(folder / name, size, new / name)

    def _bring(self, path: Path, size: int, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("wb") as file:
            for begin in range(0, size, _PART_BYTES):
                file.write(self._of_drivers(Disk.part, path, begin, _PART_BYTES))

    def _of_drivers(self, what: Callable[Concatenate[Disk, _P], _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """As `_ask`; what the driver's disk refuses is no fault of this node's."""
        try:
            return self._ask(what, *arguments, **named)
        except OSError as error:
            raise StorageError(
                f"{error.filename or 'the prepared data'}: cannot be read on the driver's node "
                f"({error.strerror or error}); put it back or mend the disk, and {self.go_on}."
            ) from error

    def check_room_at(self, place: Path, num_bytes: int) -> None:
        """Check that this node has room for what is to be copied.

        Raises:
            StorageError: it has not.
        """
        if num_bytes > (free := free_bytes(place)):
            raise StorageError(
                f"{tempfile.gettempdir()} of node {_this_node()} has {in_bytes(free)} free, but the prepared data need "
                f"{in_bytes(num_bytes)}; make room, or start its Ray with another TMPDIR, and {self.go_on}."
            )

    @contextmanager
    def fault_of_this_node(self) -> Iterator[None]:
        """Re-raise the system's errors as this node's: no training is to blame for a disk that takes no files.

        Raises:
            StorageError: the system refused something in the block.
        """
        try:
            yield
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise StorageError(
                f"the prepared data cannot be brought to node {_this_node()} ({error.strerror or error}{where}); mend "
                f"its disk or take it out of the cluster, and {self.go_on}."
            ) from error


def place_of(mark: str) -> Path:
    """The folder on a node with another disk that mirrors part of a search's folder."""
    return Path(tempfile.gettempdir(), f"distill_tune-{mark}")


def _this_node() -> str:
    import ray

    return str(ray.util.get_node_ip_address())


HERE = Files()
"""All paths are local to this process."""


@cache
def _has(folder: Path, mark: str) -> bool:
    """Whether this process finds the mark and can write next to it."""
    try:
        (folder / f"{MARK}{mark}").stat()
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
