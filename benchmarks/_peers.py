"""What the peers of `search_race.py` share: the same space, prepared data and limits as ours, and one line of JSON."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _bare_loop import accuracy

from distill_tune.config import Config, Space
from distill_tune.config.load import load_space
from distill_tune.data import Dataset
from distill_tune.data.dataset import open_test
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.students import Student, student_on
from distill_tune.tuning.planning.limits import Limits

NAME = "race"


@dataclass(frozen=True)
class Peer:
    """What a peer searches, and the data it uses."""

    space: Space
    prepared: Prepared
    dataset: Dataset
    limits: Limits

    @classmethod
    def of(cls, given: argparse.Namespace) -> Peer:
        """The peer for a command line, prepared like our search and found in the cache."""
        return cls.prepared_for(load_space(given.space, given.settings), given.storage)

    @classmethod
    def prepared_for(cls, space: Space, storage: Path) -> Peer:
        """The peer for a space that has been read already."""
        preparation = prepare(space, storage.resolve() / ".cache", lambda line: None)
        return cls(space, preparation.prepared, preparation.dataset, Limits(space.config.limits, preparation.dataset))

    def is_too_large(self, config: Config) -> bool:
        """Whether the student exceeds a limit."""
        return self.limits.excess(config).share > 0

    def multiply_adds(self, config: Config) -> int:
        """Multiply-adds of the student for one sample."""
        return self.limits.cost(config).multiply_adds


def peer_parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of a peer."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("space", type=Path)
    made.add_argument("--storage", type=Path, required=True)
    made.add_argument("--seconds", type=float, help="how long to search")
    made.add_argument("--at-a-time", type=int, default=2)
    made.add_argument("--set", action="append", default=[], dest="settings")
    return made


def test_accuracy(peer: Peer, config: Config, weights: Mapping[str, Any]) -> float:
    """Test accuracy of a student with these weights."""
    student, test = student_on(Student.of(config.student), peer.dataset), open_test(peer.dataset)
    student.load_state_dict(weights)
    return accuracy(student, torch.from_numpy(test.inputs.copy()), torch.from_numpy(test.labels.copy()))


def outcome(curve: Sequence[tuple[float, float, int]], trials: int, test: float) -> dict[str, Any]:
    """The result of a peer.

    `curve` has, per epoch, seconds since the peer's start, validation accuracy, and the student's multiply-adds.
    """
    return {"curve": [point for point in curve if point[1]], "trials": trials, "test": test}
