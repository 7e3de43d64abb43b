"""Which programs use a shared cache, even if no lock can be made in it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from distill_tune.export.cache_use import CacheUse


def test_of_two_programs_none_is_alone_and_the_last_takes_away_what_was_made_for_the_lock(tmp_path: Path) -> None:
    cache = tmp_path / "storage" / ".cache"
    with CacheUse(cache) as first:
        with CacheUse(cache) as second:
            assert not second.is_alone()
        assert [path.name for path in cache.iterdir()] == [".in-use"]
        assert first.is_alone()
    assert list(tmp_path.iterdir()) == []


def test_a_cache_of_another_users_in_which_no_lock_can_be_made_is_used_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Denied artificially, since permissions do not bind root, who may run this."""
    opened = os.open

    def denied(path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", denied)
    with CacheUse(tmp_path) as use:
        assert use.is_alone()
    assert list(tmp_path.iterdir()) == []


WRITING = """
import sys
from pathlib import Path
from distill_tune.atomic import new_file, new_folder
from distill_tune.export.cache_use import CacheUse

teacher = Path(sys.argv[1], "teacher-1")
with CacheUse(teacher.parent), new_folder(teacher / "features-1") as new, new_file(teacher / "weights") as weights:
    (new / "view_00000.arrow").touch()
    weights.touch()
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_at_work(cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program that is writing to the cache; killed at the end of the block."""
    begin = [sys.executable, "-c", WRITING, str(cache)]
    with subprocess.Popen(begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        yield other
        other.kill()


def test_what_a_killed_program_was_writing_goes_with_the_next_one_that_begins_alone(tmp_path: Path) -> None:
    teacher = tmp_path / "teacher-1"
    teacher.mkdir()
    (teacher / "teacher.safetensors").touch()
    with another_at_work(tmp_path) as other:
        pass
    assert other.returncode == -signal.SIGKILL
    assert len(list(teacher.iterdir())) == 3, "its hidden folder and file"
    with CacheUse(tmp_path):
        assert len(list(teacher.iterdir())) == 3, "it may be at work on another machine"
    for path in teacher.rglob("*"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 2 * 3600))
    with CacheUse(tmp_path) as use:
        assert [path.name for path in teacher.iterdir()] == ["teacher.safetensors"]
        assert use.is_alone()


def test_what_another_program_is_writing_stays(tmp_path: Path) -> None:
    with another_at_work(tmp_path):
        with CacheUse(tmp_path) as use:
            assert not use.is_alone()
        assert len(list(tmp_path.glob("teacher-1/.new-*/new/view_00000.arrow"))) == 1
        assert len(list(tmp_path.glob("teacher-1/.weights.*"))) == 1
