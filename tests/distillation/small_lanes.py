"""Small students to train in lanes and alone, and a check that they agree."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from runs import TABLE, run_space

from distill_tune.config import Config
from distill_tune.distillation.lanes import Lanes
from distill_tune.distillation.materials.materials import Materials, Prepared
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.run import Epoch

Sections = dict[str, dict[str, Any]]
CLOSE = 1e-4
"""Tolerance after an epoch, for the rounding of the same sums in another order."""

ARCHITECTURES: list[dict[str, Any]] = [
    {"widths": [12]},
    {"widths": [20, 9], "activation": "gelu"},
    {"widths": [7, 30]},
    {"widths": [12], "activation": "silu"},
    {"widths": [16, 16, 4]},
    {"widths": [16, 5, 11], "activation": "silu"},
]
AUGMENTED: Sections = {"augmentation": {"mixup": 0.3, "noise": 0.1, "swap": 0.1}, "data": {"passes": 2}}


def config_of(student: dict[str, Any], augmented: bool = False, epochs: int = 3, **sections: Any) -> Config:
    own = AUGMENTED if augmented else {}
    data = {**own, **sections, "student": {"mlp": student}, "search": {"max_epochs": epochs}}
    return run_space(TABLE, **data).config


def different(kind: str = "adamw", **options: Any) -> list[Config]:
    """Students that differ in everything in which lanes may differ."""
    rates = {"adamw": 1e-2, "sgd": 1e-1}
    return [
        config_of(
            student,
            loss={"kind": "soft_targets", "temperature": 1.0 + number, "soft_weight": 0.2 + 0.1 * number},
            optim={
                "kind": kind,
                kind: options,
                "learning_rate": rates[kind] / (1 + number),
                "weight_decay": 0.02 * number,
                "schedule": ["cosine", "one_cycle", "constant"][number % 3],
                "gradient_clip": [None, 0.5][number % 2],
            },
        )
        for number, student in enumerate(ARCHITECTURES)
    ]


def alone(prepared: Prepared, config: Config, seed: int) -> Iterator[Epoch]:
    return distill(config, Materials.open(prepared, config), seed)


def joined(prepared: Prepared, configs: list[Config]) -> Lanes:
    lanes = Lanes()
    for seed, config in enumerate(configs):
        lanes.join(str(seed), config, Materials.open(prepared, config), seed)
    return lanes


def trained(lanes: Lanes, *names: str) -> dict[str, Epoch]:
    outcomes = lanes.next_epochs(names or None)
    for outcome in outcomes.values():
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes  # type: ignore[return-value]


def agree(one: Epoch, other: Epoch, within: float = CLOSE) -> None:
    """Check that reports, except times, and weights agree."""
    assert one.report.keys() == other.report.keys()
    for name, value in one.report.items():
        if "time/" not in name and name != "samples_per_s":
            assert value == pytest.approx(other.report[name], abs=within), name
    ours, theirs = one.student.state_dict(), other.student.state_dict()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], atol=within, rtol=0)
