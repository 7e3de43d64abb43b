"""Confirmations in lanes for which a GPU has no memory together; without Ray, on a CPU."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small import VALUES

from distill_tune.config import Space
from distill_tune.distillation.lanes.fused import Fused
from distill_tune.distillation.lanes.lanes import Lanes
from distill_tune.tuning.state.records import News
from distill_tune.tuning.verdict.confirmation_worker import ConfirmationWorker, WorkerContext
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.occupied_gpu import OccupiedGpu

SHORT = "CUDA out of memory. Tried to allocate 2.00 GiB"


def short(*arguments: Any) -> Any:
    raise RuntimeError(SHORT)


@pytest.fixture
def confirmed(small_space: Space, preparation: Any, tmp_path: Path) -> Callable[[int], list[News]]:
    """The news of so many trainings in as many lanes."""

    def made(count: int) -> list[News]:
        worker = ConfirmationWorker(WorkerContext(small_space.config.resources, tmp_path, lanes=2), "worker")
        one = Assignment("0", small_space.at(VALUES), 0, preparation.prepared)
        return list(worker.train([replace(one, trial_id=f"{seed}", seed=seed) for seed in range(count)]))

    return made


@pytest.mark.parametrize("where", ["__init__", "_train"])
def test_those_that_have_no_memory_together_are_trained_one_by_one(
    confirmed: Callable[[int], list[News]], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(Fused, where, short)
    news = confirmed(3)
    assert [failure for _, _, failure in news if failure] == []
    assert [(trial, reports[-1]["epoch"]) for trial, reports, _ in news] == [
        (f"{seed}", epoch) for seed in range(3) for epoch in range(1, 10)
    ]


def test_one_that_cannot_begin_beside_others_is_trained_after_them(
    confirmed: Callable[[int], list[News]], monkeypatch: pytest.MonkeyPatch
) -> None:
    join = Lanes.join

    def joined(self: Lanes, *arguments: Any) -> None:
        if len(self):
            short()
        join(self, *arguments)

    monkeypatch.setattr(Lanes, "join", joined)
    news = confirmed(2)
    assert [trial for trial, *_ in news] == ["0"] * 9 + ["1"] * 9
    assert [failure for _, _, failure in news if failure] == []


def test_one_on_a_gpu_that_others_occupy_waits_and_is_trained_once_there_is_room(
    confirmed: Callable[[int], list[News]], monkeypatch: pytest.MonkeyPatch
) -> None:
    join, refusals = Lanes.join, iter(range(3))

    def joined(self: Lanes, *arguments: Any) -> None:
        if next(refusals, None) is not None:
            short()
        join(self, *arguments)

    monkeypatch.setattr(Lanes, "join", joined)
    monkeypatch.setattr(OccupiedGpu, "allow_retry", lambda self: True)
    monkeypatch.setattr(OccupiedGpu, "pause", lambda self: "")
    news = confirmed(1)
    assert news[:2] == [News("0", [])] * 2
    assert [(reports[-1]["epoch"], failure) for _, reports, failure in news[2:]] == [
        (epoch, None) for epoch in range(1, 10)
    ]


def test_one_that_has_no_memory_alone_fails(
    confirmed: Callable[[int], list[News]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lanes, "join", short)
    assert confirmed(2) == [News(f"{seed}", [], f"RuntimeError: {SHORT}") for seed in range(2)]
