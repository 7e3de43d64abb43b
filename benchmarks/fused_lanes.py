"""Training time of students in fused lanes, against the same students one after the other.

    .venv/bin/python benchmarks/fused_lanes.py [--lanes 4 8 16 32] [--repeats 5] [--set KEY=VALUE]...

Both sides train the same students (Letter, MLPs of one architecture or of a mixture, each with its own temperature,
soft weight, rate, decay and seed), an epoch in turn, on one thread of one process: L epochs by `distill` of
`distillation/training/loop.py`, one after the other, then one epoch of L lanes. Validation is part of an epoch on both
sides. The first epoch of each is a warm-up. The ratio of the process's CPU times is taken pair by pair, and the median
is reported: above 1, the lanes are faster. Next to it is the largest difference of the validation losses after the last
epoch. The teacher has trained for one epoch, since the values of its logits do not affect the time.
"""

from __future__ import annotations

from argparse import Namespace
from random import Random
from statistics import median
from time import process_time
from typing import Any

import torch
from _measure import PLAIN_TEACHER, ROOT, conclude, parser, show, timed

from distill_tune.config import Config
from distill_tune.config.load import load_space
from distill_tune.config.space import Space
from distill_tune.distillation.lanes import Lanes
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.allocator import keep_freed_memory
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.run import Epoch

SPACE = "search_spaces/letter.toml"
CASES: dict[str, list[dict[str, Any]]] = {
    "16-24-24-26": [{"width": 24, "depth": 2}],
    "16-48-26": [{"width": 48, "depth": 1}],
    "16-64-64-26": [{"width": 64, "depth": 2}],
    "16-128-128-26": [{"width": 128, "depth": 2}],
    "mixture": [
        {"width": width, "depth": depth, "activation": activation}
        for width, depth in ((17, 2), (24, 1), (24, 2), (32, 2), (40, 1), (56, 1))
        for activation in ("relu", "gelu", "silu")
    ],
}


def main() -> None:
    """Measure case after case."""
    given = _arguments()
    torch.set_num_threads(1)
    keep_freed_memory()
    epochs = f"search.max_epochs={given.repeats + 2}"  # the last epoch of a training measures the gap as well
    space = load_space(ROOT / SPACE, [*PLAIN_TEACHER, "optim.batch_size=128", epochs, *given.settings])
    prepared = prepare(space, given.storage / ".cache", print).prepared
    materials = Materials.open(prepared, space.config)
    found = {
        f"{name} x{count}": _measured(_students(space, CASES[name], count), materials, given.repeats)
        for name in given.case or CASES
        for count in given.lanes
    }
    heads = ("case", "alone, ms", "in a lane, ms", "ratio", "losses differ by")
    show(heads, [(name, *(f"{value:.3g}" for value in each.values())) for name, each in found.items()])
    conclude("fused_lanes", repeats=given.repeats, torch=torch.__version__, cases=found)


def _arguments() -> Namespace:
    made = parser(__doc__, takes_settings=True)
    made.add_argument("--case", action="append", choices=list(CASES), help="one of them; all, unless given")
    made.add_argument("--lanes", type=int, nargs="+", default=[4, 8, 16, 32])
    made.add_argument("--repeats", type=int, default=5, help="epochs of each side, after the warm-up")
    return made.parse_args()


def _students(space: Space, architectures: list[dict[str, Any]], count: int) -> list[Config]:
    draw = Random(0)
    order = draw.sample(architectures, len(architectures)) * count
    return [
        space.at(
            {f"student.mlp.{key}": value for key, value in each.items()}
            | {"loss.kind": "soft_targets", "loss.temperature": draw.uniform(1, 10), "loss.soft_weight": draw.random()}
            | {"optim.learning_rate": 10 ** draw.uniform(-3, -2), "optim.weight_decay": 10 ** draw.uniform(-5, -1)}
        )
        for each in order[:count]
    ]


def _measured(configs: list[Config], materials: Materials, repeats: int) -> dict[str, float]:
    alone, lanes = [distill(config, materials, seed) for seed, config in enumerate(configs)], Lanes()
    for seed, config in enumerate(configs):
        lanes.join(str(seed), config, materials, seed)
    pairs = []
    for _ in range(1 + repeats):
        alone_s, ones = timed(lambda: [next(run) for run in alone], process_time)
        fused_s, others = timed(lanes.next_epochs, process_time)
        pairs.append((alone_s / len(configs), fused_s / len(configs)))
    kept = pairs[1:]
    return {
        "alone_ms": 1e3 * median(one for one, _ in kept),
        "lane_ms": 1e3 * median(other for _, other in kept),
        "ratio": median(one / other for one, other in kept),
        "difference": max(_difference(one, other) for one, other in zip(ones, others.values(), strict=True)),
    }


def _difference(one: Epoch, other: Any) -> float:
    if isinstance(other, Exception):
        raise other
    return abs(one.report["val/loss"] - float(other.report["val/loss"]))


if __name__ == "__main__":
    main()
