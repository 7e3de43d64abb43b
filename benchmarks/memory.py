"""Check that two trials on one node share one copy of the data and the teacher's outputs, by proportional set size.

    .venv/bin/python benchmarks/memory.py            (Linux: it reads /proc/PID/smaps)

While a search of Fashion-MNIST runs two trials at a time, every process below it is inspected: which `*.arrow` files of
the search's cache it maps, how much of them is resident in it (Rss), and its share, with each page divided by the
number of processes that map it (Pss). The sum of Pss is the memory that data and logits take up; one copy means that it
does not exceed the files' size, however many workers there are. The sum of Rss is what it would be if each process had
its own copy. Inspection starts when as many workers as there are trials have read most of the training inputs. Mappings
cannot show a copy on a worker's heap, so each worker's private memory (mostly PyTorch and Ray) is listed too.

Every trial has the same augmentation here, so all of them need the same files. The teacher's quality does not matter,
so it is an MLP that has trained for one epoch.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
from _measure import PLAIN_TEACHER, Search, conclude, parser, settings, show, started_search

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Held:
    """Memory of one process, in bytes."""

    what: str
    mapped: Counter[Path]
    """Rss by Arrow file."""
    rss: int
    pss: int
    private: int
    """All memory that no other process shares."""


@dataclass(frozen=True)
class Look:
    """All processes of a search at one moment."""

    held: list[Held]
    file_bytes: int
    """Total size of all files that a worker maps, each counted once."""

    @property
    def copies(self) -> float:
        """Pss of all processes together, relative to the size of the files."""
        return sum(held.pss for held in self.held) / self.file_bytes

    @property
    def copies_unshared(self) -> float:
        """The same if every process had its own copy."""
        return sum(held.rss for held in self.held) / self.file_bytes


def main() -> None:
    """Look at a running search until there are enough looks, then interrupt it."""
    made = parser(__doc__, takes_settings=True)
    made.add_argument("--space", default="search_spaces/fashion_mnist.toml")
    made.add_argument("--looks", type=int, default=5, help="at two trials that both train; the median counts")
    made.add_argument("--every", type=float, default=2.0, metavar="S", help="seconds between looks")
    made.add_argument("--at-a-time", type=int, default=2)
    given = made.parse_args()
    same_files = ("augmentation.shift=2", "augmentation.cutout=0", "augmentation.flip=0.5")
    asked = settings(f"resources.concurrent_trials={given.at_a_time}", *PLAIN_TEACHER, *same_files, *given.settings)
    looks: list[Look] = []
    with started_search(given.space, given.storage, *asked) as (process, search):
        while len(looks) < given.looks:
            if process.poll() is not None:
                sys.exit(f"the search ended before {given.looks} looks at it:\n{process.communicate()[0]}")
            looks += _look(process.pid, search, given.at_a_time)
            time.sleep(given.every)
    _tell(looks, given.space)


def _look(root: int, search: Search, workers: int) -> list[Look]:
    """One look, or none while fewer than `workers` processes besides the driver have trained."""
    driver = psutil.Process(root)
    cache = search.folder.resolve() / "cache"
    found = {process.pid: _held(process, cache) for process in (driver, *driver.children(recursive=True))}
    held = [one for one in found.values() if one is not None and one.rss]
    training = [pid for pid, one in found.items() if pid != root and one is not None and _has_trained(one)]
    if len(training) < workers:
        return []
    files = {path for one in held for path in one.mapped}
    return [Look(held, sum(path.stat().st_size for path in files))]


def _has_trained(held: Held) -> bool:
    """Whether it has read most of the training inputs at least once."""
    train = [path for path in held.mapped if path.name == "train.arrow" and path.parent.name.startswith("data-")]
    return any(held.mapped[path] > 0.8 * path.stat().st_size for path in train)


def _held(process: psutil.Process, cache: Path) -> Held | None:
    """Memory of a process; None if it has ended or cannot be inspected."""
    try:
        maps, memory, name = process.memory_maps(grouped=False), process.memory_full_info(), process.name()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    mapped, pss = Counter[Path](), 0
    for one in maps:
        path = Path(one.path)
        if path.suffix == ".arrow" and path.is_relative_to(cache):
            mapped[path] += one.rss
            pss += one.pss
    return Held(name, mapped, mapped.total(), pss, memory.uss)


def _tell(looks: list[Look], space: str) -> None:
    last = looks[-1]
    rows = [(held.what, *(f"{n / MEBIBYTE:.1f}" for n in (held.rss, held.pss, held.private))) for held in last.held]
    sums = (sum(held.rss for held in last.held), sum(held.pss for held in last.held))
    total = ("all", *(f"{n / MEBIBYTE:.1f}" for n in sums), "")
    files = ("the files", "", f"{last.file_bytes / MEBIBYTE:.1f}", "")
    show(("process", "Arrow files, Rss in MiB", "Pss in MiB", "private memory in MiB"), [*rows, total, files])
    copies = median(look.copies for look in looks)
    unshared = median(look.copies_unshared for look in looks)
    print(
        f"copies in memory: {copies:.2f}; they would be {unshared:.2f} without sharing (medians of {len(looks)} looks)"
    )
    workers = [{"rss": h.rss, "pss": h.pss, "private": h.private, "name": h.what} for h in last.held]
    conclude("memory", space=space, copies=copies, unshared=unshared, file_bytes=last.file_bytes, processes=workers)


if __name__ == "__main__":
    main()
