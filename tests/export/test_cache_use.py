"""Which programs use a shared cache, even if no lock can be made in it."""

import os
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
