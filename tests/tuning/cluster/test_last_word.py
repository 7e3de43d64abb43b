"""The message for a program that dies without printing one."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from distill_tune.tuning.cluster.last_word import last_word

with last_word("error: it has gone"):
    {end}
"""


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        ("os._exit(1)", 1, "error: it has gone\n"),  # as Ray does when its own processes have died
        ("os.kill(os.getpid(), signal.SIGKILL)", -9, "error: it has gone\n"),
        ("pass", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("raise KeyboardInterrupt", -2, "KeyboardInterrupt\n"),
    ],
)
def test_it_is_said_of_a_program_that_has_not_left_in_order_and_of_no_other(end: str, status: int, said: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(end=end)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # waits for the watch too
    assert ran.returncode == status
    assert ran.stderr[-len(said) :] == said if said else ran.stderr == ""
    assert "has gone" in said or "has gone" not in ran.stderr
