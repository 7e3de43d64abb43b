"""A GPU whose memory other programs occupy costs no trials; on a pretended one, without Ray."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pretended_gpu import pretended_gpu
from runs import TABLE, run_space

from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.tuning.workers import occupied_gpu
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.occupied_gpu import OccupiedGpu
from distill_tune.tuning.workers.worker_group import InProcessGroup, WorkersAreNotUp, keep_to_share

GIB = 1 << 30  # the pretended GPU has 16 of them
OCCUPIED, FREE = GIB, 8 * GIB


class Clock:
    """Stands still, except while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(occupied_gpu, "time", made)
    return made


@pytest.mark.parametrize(
    ("share", "free_bytes", "is_occupied"),
    [
        (1.0, FREE, False),
        (1.0, FREE - 1, True),
        (2.0, OCCUPIED, True),
        (0.25, 4 * GIB, False),
        (0.25, OCCUPIED, True),
        (0.0, 0, False),
    ],
)
def test_others_occupy_a_gpu_if_a_place_can_get_less_than_half_of_its_share(
    share: float, free_bytes: int, is_occupied: bool
) -> None:
    with pretended_gpu(free_bytes):
        assert OccupiedGpu(ResourcesConfig(gpus_per_worker=share)).allow_retry() is is_occupied


def test_what_a_trial_itself_has_taken_makes_no_gpu_occupied(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended_gpu(0):
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 16 * GIB)
        assert not OccupiedGpu(ResourcesConfig(gpus_per_worker=1)).allow_retry()


def test_a_gpu_that_has_not_even_room_for_cuda_is_occupied_and_one_that_is_broken_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def raising(said: str) -> Any:
        def raised() -> None:
            raise RuntimeError(said)

        return raised

    gpu = OccupiedGpu(ResourcesConfig(gpus_per_worker=1))
    monkeypatch.setattr(torch.cuda, "mem_get_info", raising("CUDA error: out of memory"))
    assert gpu.allow_retry()
    monkeypatch.setattr(torch.cuda, "mem_get_info", raising("CUDA error: device-side assert triggered"))
    with pytest.raises(RuntimeError, match="device-side"):
        gpu.allow_retry()


def waits_of(gpu: OccupiedGpu) -> int:
    """How often it is tried again before it fails."""
    count = 0
    while gpu.allow_retry():
        gpu.pause()
        count += 1
    return count


def test_no_trial_is_waited_for_longer_than_ten_minutes_but_each_as_long(clock: Clock) -> None:
    gpu = OccupiedGpu(ResourcesConfig(gpus_per_worker=1))
    with pretended_gpu(OCCUPIED):
        assert waits_of(gpu) == waits_of(gpu) == 201


def test_an_epoch_that_is_only_reached_again_does_not_make_the_wait_longer(clock: Clock) -> None:
    """A training that always finds memory for its first epoch, but not for its second, would never end."""
    gpu, turns = OccupiedGpu(ResourcesConfig(gpus_per_worker=1)), 0
    with pretended_gpu(OCCUPIED):
        gpu.reached("0000", 1)
        while gpu.allow_retry() and turns < 1000:
            gpu.pause()
            gpu.reached("0000", 1)
            turns += 1
        assert turns == 201
        assert gpu.allow_retry()
        clock.now_s += 500
        gpu.reached("0000", 2)
        assert waits_of(gpu) == 201


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While this file exists, `ShortForAWhile` finds no memory."""
    monkeypatch.setenv("SHORT_WHILE", str(tmp_path / "short"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    return tmp_path / "short"


@pytest.mark.parametrize("free_bytes", [OCCUPIED, FREE])
def test_a_trial_on_an_occupied_gpu_waits_and_goes_on_and_one_that_is_too_large_fails(
    short: Path, free_bytes: int, tmp_path: Path, clock: Clock
) -> None:
    space = run_space(TABLE, loss={"kind": "broken_loss:ShortForAWhile"}, resources={"gpus_per_worker": 1})
    with pretended_gpu(free_bytes):
        prepared = prepare(space, tmp_path, lambda line: None).prepared
        group = InProcessGroup(space.config.resources)
        group.start()
        group.assign(Assignment("0000", space.config, 0, prepared))
        short.touch()
        if free_bytes == FREE:
            with pytest.raises(RuntimeError, match="CUDA out of memory"):
                group.next_report()
            return
        said = f"GPU 3 of node {re.escape(os.uname().nodename)} is occupied by other programs; "
        for _ in range(2):
            with pytest.raises(WorkersAreNotUp, match=said):
                group.next_report()
        short.unlink()
        assert [group.next_report()["epoch"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(("share", "limit"), [(0.25, 0.21875), (0.04, 0.02), (1.0, None), (0.0, None)])
def test_processes_that_share_a_gpu_leave_room_for_what_cuda_takes_for_each(
    share: float, limit: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = list[float]()
    with pretended_gpu():
        monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", limits.append)
        keep_to_share(ResourcesConfig(gpus_per_worker=share, cpus_per_worker=torch.get_num_threads()))
    assert limits == ([] if limit is None else [limit])
