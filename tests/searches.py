"""Searches in real processes, some of them killed, and what they leave behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

NO_PROGRAMS = ("--set", "export.formats=[]")
"""For tests that ignore the winner's exported programs; writing them takes some three seconds."""
SMALL = [
    *NO_PROGRAMS,
    *("--set", "teacher.family='mlp'", "--set", "teacher.mlp.widths=[64]", "--set", "teacher.train.epochs=8"),
    *("--set", "teacher.views=2", "--set", "confirm.top=1", "--set", "confirm.seeds=2", "--set", "search.max_epochs=9"),
    *("--set", "resources.concurrent_trials=1", "--trials", "14"),
    *("--set", "optim.precision='float32'", "--set", "teacher.train.precision='float32'"),
    *("--set", "data.passes=5"),  # long enough to interrupt
]
TELLING = ["trial", "status", "epochs", "rung", "val/accuracy", "val/loss", "train/loss", "message"]
"""Columns that do not depend on how fast the machine was."""


def command(storage: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "distill_tune.search", "--storage", str(storage), *arguments]


def run(storage: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(storage, *arguments), capture_output=True, text=True, timeout=200, check=False)


def ended(storage: Path, number: signal.Signals, when: Callable[[str], bool], *arguments: str) -> tuple[int, str]:
    """Start a search, signal it at the first line for which `when` holds, and wait until all of it is gone.

    SIGHUP goes to the whole job, as when a terminal closes, and so does SIGTERM, as from `timeout`.
    """
    is_for_all = number in (signal.SIGHUP, signal.SIGTERM)
    process = subprocess.Popen(
        command(storage, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=is_for_all,
    )
    with process as search:
        assert search.stdout is not None
        _wait_for_a_line(search, when)
        family = psutil.Process(search.pid).children(recursive=True)
        (os.killpg if is_for_all else os.kill)(search.pid, number)
        said, _ = search.communicate(timeout=100)
    workers = [process for process in family if is_worker(process)]
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    return search.returncode, said


def once(begun: str, holds: Callable[[], bool]) -> Callable[[str], bool]:
    """Hold at the line that starts with `begun`, once `holds` does; not every trial prints a line."""

    def when(line: str) -> bool:
        if not line.startswith(begun):
            return False
        for _ in range(2400):
            if holds():
                return True
            time.sleep(0.05)  # polling interval; nothing is assumed to be done by then
        raise AssertionError(f"{begun}, and then nothing for two minutes")

    return when


def _wait_for_a_line(search: subprocess.Popen[str], when: Callable[[str], bool]) -> None:
    """Read until `when` holds; if it never does, kill the search and show its output."""
    assert search.stdout is not None
    said = list[str]()
    try:
        for line in search.stdout:
            said.append(line)
            if when(line):
                return
        raise AssertionError("".join(said))
    except BaseException:
        search.kill()
        raise


def is_worker(process: psutil.Process, kind: str = "") -> bool:
    """Whether it is a training worker of that kind; Ray's own agents outlive a killed driver for a minute."""
    try:
        name = process.name()
    except psutil.NoSuchProcess:
        return False
    return name.startswith("ray::") and kind in name and not name.endswith("Agent")


def trials(folder: Path) -> list[dict[str, Any]]:
    rows = pq.read_table(folder / "trials.parquet").to_pylist()
    kept = [{key: row.get(key) for key in [*TELLING, *(k for k in row if k.startswith("config/"))]} for row in rows]
    return sorted(kept, key=lambda row: row["trial"])


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def has_reported(line: str) -> bool:
    """Whether this line reports a trial's epoch."""
    return "leads at epoch" in line


def ended_twice(storage: Path, when: Callable[[str], bool], *arguments: str) -> tuple[int, str]:
    """Start a search, and send it Ctrl-C twice from the first line for which `when` holds."""
    process = subprocess.Popen(
        command(storage, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with process as search:
        assert search.stdout is not None
        _wait_for_a_line(search, when)
        search.send_signal(signal.SIGINT)
        next(line for line in search.stdout if line.startswith("Stopping"))
        search.send_signal(signal.SIGINT)
        said, _ = search.communicate(timeout=100)
    return search.returncode, said
