"""Time an epoch with the teacher's logits cached, with the teacher running live, and without a teacher.

    .venv/bin/python benchmarks/cache_against_live.py [--samples 4096] [--repeats 3] [--size 0.5 --size 5]

The teacher is a residual CNN of about 0.5, 5 and 25 million parameters (untrained, since the values of its logits do
not affect a step's time); the student is a convnet of 13,726 parameters. They see --samples samples of Fashion-MNIST on
one thread, an epoch of each side in turn. The ratio of two epochs is taken turn by turn, and the median is reported.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from _measure import ROOT, conclude, parser, show, spread, timed
from step_throughput import CONVNET, FASHION, PLAIN, RECIPE
from torch import nn

from distill_tune.config import Config
from distill_tune.config.load import load_space
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.run import Epoch
from distill_tune.registry import STUDENTS

WIDTHS = {"0.5": (40, 1), "5": (86, 2), "25": (154, 3)}
"""Millions of the teacher's parameters to its width and depth."""
SIDES = {"no teacher": "loss.kind='labels'", "cached": "teacher.mode='cached'", "live": "teacher.mode='live'"}


def teacher(width: int, depth: int) -> nn.Module:
    """Factory for `teacher.source = "torch"`."""
    torch.manual_seed(0)
    network: nn.Module = STUDENTS.get("resnet")(width=width, depth=depth, stages=3).build((1, 28, 28), 10)
    return network


def main() -> None:
    """Measure, size by size."""
    given = _arguments()
    torch.set_num_threads(1)
    found = {size: _measure(size, given) for size in given.size or WIDTHS}
    heads = ("teacher, M", "cached / no teacher", "live / no teacher", "live / cached")
    show(heads, [(size, *(spread(one[key]) for key in one)) for size, one in found.items()])
    conclude("cache_against_live", samples=given.samples, repeats=given.repeats, sizes=found)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--samples", type=int, default=4096)
    made.add_argument("--repeats", type=int, default=3, help="epochs of each side, after a warm-up")
    made.add_argument("--size", action="append", choices=list(WIDTHS), help="one of them; all, unless given")
    return made.parse_args()


def _measure(size: str, given: Namespace) -> dict[str, list[float]]:
    with ExitStack() as stack:
        epochs = {side: stack.enter_context(closing(_epochs(size, side, given))) for side in SIDES}
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(1 + given.repeats):
            for side, one in epochs.items():
                seconds[side].append(timed(partial(next, one))[0])
    none, cached, live = (seconds[side][1:] for side in SIDES)
    return {
        "cached_to_none": [c / n for c, n in zip(cached, none, strict=True)],
        "live_to_none": [one / n for one, n in zip(live, none, strict=True)],
        "live_to_cached": [one / c for one, c in zip(live, cached, strict=True)],
    }


def _epochs(size: str, side: str, given: Namespace) -> Generator[Epoch, None, None]:
    config, materials = case(size, side, given)
    return distill(config, materials, config.search.seed)


def case(size: str, side: str, given: Namespace) -> tuple[Config, Materials]:
    """Configuration and materials of one side, with one validation sample so that only training steps are timed."""
    width, depth = WIDTHS[size]
    weights = given.storage / f"live-teacher-{size}.pt"
    weights.parent.mkdir(parents=True, exist_ok=True)
    torch.save(teacher(width, depth).state_dict(), weights)
    source = (
        "teacher.source='torch'",
        "teacher.views=1",
        f"teacher.path='{weights}'",
        "teacher.torch.factory='cache_against_live:teacher'",
        f"teacher.torch.arguments={{width={width}, depth={depth}}}",
    )
    seen = (f"data.student_samples={given.samples}", "data.rest='hidden'", f"search.max_epochs={given.repeats + 2}")
    space = load_space(ROOT / FASHION, [*source, *seen, *RECIPE, *CONVNET, *PLAIN, SIDES[side]])
    config = space.at({})
    materials = Materials.open(prepare(space, given.storage / ".cache", print).prepared, config)
    few: dict[str, Any] = {
        "validation_inputs": materials.validation_inputs[:1],
        "validation_labels": materials.validation_labels[:1],
    }
    if materials.teacher is not None:
        materials.teacher.validation = materials.teacher.validation[:1]
    return config, replace(materials, **few)


if __name__ == "__main__":
    main()
