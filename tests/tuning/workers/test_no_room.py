"""A node without room for its files is no fault of a training; tested without Ray, on one rank."""

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import ray.train
import ray.train.torch
import torch

from distill_tune.config import Space
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import StorageError
from distill_tune.tuning.running.lane_desk import Turn
from distill_tune.tuning.running.lane_host import LANES, LaneHost
from distill_tune.tuning.verdict.confirmation_worker import ConfirmationWorker, WorkerContext
from distill_tune.tuning.workers import ray_train_group
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.files import Files
from distill_tune.tuning.workers.trial import NO_ROOM, REPORTS, Trial, TrialContext


class NoRoom(Files):
    """On a node whose disk is full."""

    def brought(self, prepared: Prepared) -> Prepared:
        raise StorageError("/tmp of node B has 1 MB free; make room")


VALUES = {"student.mlp.widths": [12], "loss.temperature": 3.0, "optim.learning_rate": 0.01}


@pytest.fixture
def assignment(small_space: Space, tmp_path: Path) -> Assignment:
    config = small_space.at(VALUES)
    return Assignment("0000", config, 7, Prepared(tmp_path, None), files=NoRoom())


class Ended(BaseException):
    """Process exit."""


@dataclass
class Box:
    """A mailbox that notes what it is told."""

    given: list[Any]
    told: list[Any] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: Any) -> Any:
            if name == "next_assignment":
                return self.given.pop(0)
            self.told.append((name, *arguments))
            return None

        return SimpleNamespace(remote=called)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_whose_node_has_no_room_ends_its_process_as_the_others_do_not_hear_of_it(
    rank: int, assignment: Assignment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They would wait for it in a collective operation until that times out, half an hour later."""

    def end(status: int) -> None:
        raise Ended(status)

    box = Box([(1, assignment), None])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(ray, "get", lambda answer: answer)
    monkeypatch.setattr(ray.train, "get_context", lambda: SimpleNamespace(get_world_rank=lambda: rank))
    monkeypatch.setattr(ray.train.torch, "get_device", lambda: "cpu")
    monkeypatch.setattr(ray_train_group._Ranks, "agree", lambda self, find: find())
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended):
        ray_train_group.serve({"threads": 1, "mailbox": box, "folder": tmp_path})
    ((told, fault),) = box.told
    assert told == "note_fault"
    assert isinstance(fault, StorageError), "which is no outcome of a confirmation's run"
    assert str(fault) == "/tmp of node B has 1 MB free; make room"


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_run_of_a_confirmation_for_which_there_is_no_room_is_no_outcome(
    lanes: int, assignment: Assignment, small_space: Space, tmp_path: Path
) -> None:
    context = WorkerContext(small_space.config.resources, tmp_path, lanes, files=assignment.files)
    worker = ConfirmationWorker(context, "w")
    with pytest.raises(StorageError, match=r"^/tmp of node B has 1 MB free; make room$"):
        list(worker.train([assignment, replace(assignment, trial_id="0001")][:lanes]))


@pytest.fixture
def context(small_space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialContext:
    """Of a search at such a node, whose processes are this one."""
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(ray, "get", lambda answer: answer)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_actor_id=lambda: "an actor"))
    return TrialContext(small_space, Prepared(tmp_path, None), tmp_path, NoRoom(), lanes=2)


def test_a_trial_for_which_there_is_no_room_says_so_and_has_not_failed(context: TrialContext) -> None:
    trial = Trial({"trial": "0000", "values": json.dumps(VALUES), "epochs": 0}, context)
    assert trial.train() == {REPORTS: [], NO_ROOM: "/tmp of node B has 1 MB free; make room", "done": False}


def test_a_place_with_lanes_for_which_there_is_no_room_says_so_and_none_of_them_has_failed(
    context: TrialContext,
) -> None:
    turn = Turn({name: json.dumps(VALUES) for name in ("0000", "0001")}, ["0000", "0001"])
    desk = SimpleNamespace(take=SimpleNamespace(remote=lambda place, is_new: turn))
    host = LaneHost({"place": 0}, context, desk)
    assert host.train() == {LANES: [], NO_ROOM: "/tmp of node B has 1 MB free; make room"}
