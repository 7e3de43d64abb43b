"""The requests to the C library's allocator, and the settings that remain."""

import pytest

from distill_tune.distillation.training import allocator

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3


class Libc:
    """Records what it is asked."""

    def __init__(self) -> None:
        self.options: dict[int, int] = {}
        self.trims: list[int] = []

    def mallopt(self, option: int, value: int) -> None:
        self.options[option] = value

    def malloc_trim(self, pad: int) -> None:
        self.trims.append(pad)


def test_what_is_left_is_a_heap_that_is_trimmed_and_a_threshold_as_high_as_glibc_itself_would_raise_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    libc = Libc()
    monkeypatch.setattr(allocator, "_libc", lambda: libc)
    with allocator.freed_memory_kept():
        kept = dict(libc.options)
    assert kept == {TRIM_THRESHOLD: 1 << 28, TOP_PAD: 1 << 26, MMAP_THRESHOLD: 1 << 25}
    assert libc.options == {TRIM_THRESHOLD: 128 << 10, TOP_PAD: 128 << 10, MMAP_THRESHOLD: 1 << 25}
    assert libc.trims == [0]
