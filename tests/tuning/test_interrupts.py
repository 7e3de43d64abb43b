"""What happens to a program whose terminal is closed, or whose output has no reader any more."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BUSY = """
import os, sys
from pathlib import Path
from distill_tune.cli import complain
from distill_tune.tuning.showing.display import SteadyConsole
from distill_tune.tuning.interrupts import Interrupt, heard

if sys.stdin.isatty():
    os.close(os.open(os.ttyname(0), os.O_RDWR))  # it is this session's terminal from here on
interrupt, console = Interrupt(), SteadyConsole()
with heard(interrupt), interrupt.in_order():
    console.print("at work")
    while not interrupt.requested:
        if sys.stdin.isatty():
            console.print("still at work")
console.print("interrupted")
complain("interrupted.")
Path(sys.argv[1]).touch()
sys.exit(130)
"""
"""Shows its progress in a terminal, and shuts down in order when asked to."""


def test_when_the_terminal_is_closed_it_ends_in_order(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", BUSY, str(tmp_path / "saved")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as busy:
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as screen:
            assert screen.read(7) == b"at work"
        assert busy.wait(60) == 130
    assert (tmp_path / "saved").exists()


def test_when_nobody_reads_its_errors_it_ends_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUSY, str(tmp_path / "saved")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as busy:
        assert busy.stdout is not None
        assert busy.stderr is not None
        assert busy.stdout.readline() == b"at work\n"
        busy.stderr.close()
        busy.send_signal(signal.SIGTERM)
        assert busy.stdout.read() == b"interrupted\n"
    assert busy.returncode == 130
    assert (tmp_path / "saved").exists()


ONCE = """
import os, signal, sys
from distill_tune.tuning.interrupts import Interrupt, heard

interrupt = Interrupt()
with heard(interrupt), interrupt.in_order():
    interrupt.last_step = sys.argv[1]
    os.kill(os.getpid(), signal.SIGINT)
    print("goes on")
"""


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("", "Stopping after the current step; results are saved."),
        ("The students are being examined", "The students are being examined, which"),
    ],
)
def test_the_first_ctrl_c_says_what_it_does(step: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", ONCE, step], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "goes on\n"
    assert done.stderr.startswith(f"\n{said}")
    assert done.stderr.endswith(" Press Ctrl-C again to stop at once.\n")


COPYING = """
import os, signal
from contextlib import contextmanager
from unittest.mock import Mock
from distill_tune.tuning.interrupts import heard
from distill_tune.tuning.job import Job

@contextmanager
def kept():
    yield
    os.kill(os.getpid(), signal.SIGINT)
    print("goes on")

job = Job(Mock(), Mock())
with heard(job.interrupt), job.interrupt.in_order(), job._copied(kept()):
    job.interrupt.last_step, job.interrupt.is_done = "The students are being examined", True
assert job.interrupt.is_done
"""


def test_the_first_ctrl_c_in_the_last_copy_says_that_it_is_this_that_goes_on() -> None:
    done = subprocess.run([sys.executable, "-c", COPYING], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "goes on\n"
    assert done.stderr.startswith("\nThe results are being copied, which is the last step. Press Ctrl-C again")


WITH_RAY = """
import os, signal
from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.cluster.connection import Connection
from distill_tune.tuning.interrupts import Interrupt, heard

interrupt = Interrupt()
with heard(interrupt), Connection(None, ResourcesConfig()) as connection:
    connection.wait()
    with interrupt.in_order():
        os.kill(os.getpid(), signal.SIGTERM)
        while not interrupt.requested:
            pass
        print("alarm in", signal.alarm(0), "s")
"""
"""Prints the pending alarm: one that is set would abort the program."""


@pytest.mark.ray
def test_a_sigterm_leaves_all_the_time_that_an_epoch_takes_though_ray_has_a_handler_too() -> None:
    done = subprocess.run([sys.executable, "-c", WITH_RAY], capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout == "alarm in 0 s\n"
    assert "SIGTERM received" not in done.stderr
