"""What the commands share, into streams that people read, or read no more."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest
import tomli_w
from runs import TABLE

from distill_tune.cli import complain, tell

PROJECT = Path(__file__).parents[1]


def test_a_line_is_there_at_once() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written)
    tell("val/accuracy 0.9", stream)
    assert written.getvalue() == b"val/accuracy 0.9\n"


@pytest.fixture
def unread() -> TextIO:
    """A pipe that nobody reads."""
    theirs, ours = os.pipe()
    os.close(theirs)
    return os.fdopen(ours, "w")


def test_what_nobody_reads_is_no_error_now_or_when_it_is_closed(
    unread: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", unread)
    with unread:
        for _ in range(3):
            complain("interrupted.")


def test_a_training_goes_on_when_nobody_reads_how_it_is_getting_on(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(tomli_w.dumps(TABLE))
    command = [sys.executable, "-m", "distill_tune.train", "run.toml", "--name", "unread"]
    named = os.environ | {"PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=named) as training:
        assert training.stdout is not None
        assert training.stdout.readline()
        training.stdout.close()
        _, errors = training.communicate(timeout=100)
    assert (training.returncode, errors) == (0, b"")
    assert (tmp_path / "results" / "unread" / "train.json").exists()
