"""What the benchmarks share: a search in a separate process, seconds, medians, a small table, one line of JSON.

A benchmark measures what a user would see: it starts `python -m distill_tune.search` and reads the files that the
search leaves behind. Figures that are compared come from one run of one script, measured in turns, as ratios of
medians.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that a checkout that is not installed can be measured too

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
SHORT_CONFIRMATION = ("--set", "confirm.top=1", "--set", "confirm.seeds=2")
"""For benchmarks of the search alone: the smallest possible confirmation."""
PLAIN_TEACHER = (
    "teacher.family='mlp'",
    "teacher.mlp.widths=[64]",
    "teacher.views=2",
    "teacher.train.epochs=1",
)
"""For benchmarks that do not depend on what the teacher knows: one that is ready in seconds."""
_PATIENCE_S = 60.0
T = TypeVar("T")


@dataclass(frozen=True)
class Search:
    """A finished search, read from its files."""

    folder: Path
    began_s: float
    """When its process was started, in seconds since 1970."""
    wall_s: float
    """Duration of its process."""

    @property
    def summary(self) -> dict[str, Any]:
        """Content of `summary.json`."""
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return found

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The rows of `trials.parquet`."""
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(self.folder / "trials.parquet").to_pylist()
        return rows

    @property
    def start_up_s(self) -> float:
        """Seconds from the start of the process to the first trial's first step."""
        first_s: float = min(row["first_step_s"] for row in self.trials if row["first_step_s"])
        return first_s - self.began_s


def parser(description: str | None, takes_settings: bool = False) -> argparse.ArgumentParser:
    """A command line with the options of every benchmark, and `--set` if settings can be given for all sides."""
    made = argparse.ArgumentParser(description=description, formatter_class=_HelpFormatter)
    storage = ROOT / "results" / "benchmarks"
    made.add_argument("--storage", type=_absolute, default=storage, help="where searches and caches are kept")
    if takes_settings:
        made.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help="for all")
    return made


def _absolute(text: str) -> Path:
    """Make a path absolute, since searches run in the checkout's root."""
    return Path(text).resolve()


class _HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Prints the docstring as written, and defaults next to the options."""


def run_search(space: str, storage: Path, *arguments: str) -> Search:
    """Run a search to its end; if it fails, the benchmark exits with its output."""
    with started_search(space, storage, *arguments) as (process, search):
        printed, _ = process.communicate()
        wall_s = time.time() - search.began_s
    if process.returncode:
        sys.exit(f"{space}: the search ended with status {process.returncode}:\n{printed}")
    return Search(search.folder, search.began_s, wall_s)


@contextmanager
def started_search(space: str, storage: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Search]]:
    """A search that runs during the block; it is interrupted if the block ends first."""
    folder = free_folder(storage, Path(space).stem)
    command = [sys.executable, "-m", "distill_tune.search", space, "--storage", str(storage), "--name", folder.name]
    began_s = time.time()
    process = subprocess.Popen(
        [*command, "--quiet", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process, Search(folder, began_s, 0.0)
    finally:
        _end(process)


def free_folder(storage: Path, stem: str) -> Path:
    """A folder that no earlier run of a benchmark has used."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"{stem}-{stamp}-{number}" for number in itertools.count())
    return next(storage / name for name in names if not (storage / name).exists())


def _end(process: subprocess.Popen[str]) -> None:
    """End a search properly with SIGTERM, at its next epoch; SIGINT would be ignored in a background process."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def timed(work: Callable[[], T], clock: Callable[[], float] = time.perf_counter) -> tuple[float, T]:
    """Seconds that some work takes, and its result."""
    began_s = clock()
    done = work()
    return clock() - began_s, done


def settings(*assignments: str) -> list[str]:
    """Put `--set` before each assignment."""
    return [part for assignment in assignments for part in ("--set", assignment)]


def spread(values: Sequence[float], digits: int = 3) -> str:
    """`median (lowest to highest)`; the value alone if there is only one."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def show(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table with aligned columns."""
    lines = [list(map(str, row)) for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print()
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()


def conclude(benchmark: str, **figures: Any) -> None:
    """Print all figures and the machine's data as one line of JSON."""
    where = {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "machine": f"{platform.machine()} {platform.system()}",
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
    print(json.dumps({"benchmark": benchmark, **figures, **where}), flush=True)
