"""How much a search's first proposals matter, simulated on a synthetic accuracy: nothing is trained.

    .venv/bin/python benchmarks/proposals.py [--trials 48] [--repeats 40] [--set "search.sampler='gp'"]

The space of `search_spaces/letter_few.toml`, the search's own study and sampler, and an accuracy that is a formula of a
trial's values: about as wide, as noisy and as dependent on each value as single trainings of that space were
(docs/experiments.md). The categorical values are of interest: one activation is better than the others by 0.6 and 0.9
points, and is listed first in the space or last. Shown are the true accuracy, without noise, of the trial that a
confirmation of the best three in five seeds would choose, and the share of trials that had the best activation.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _measure import ROOT, conclude, parser, show

from distill_tune.config import Space, Values
from distill_tune.config.load import load_space
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.state.records import Status, TrialRecord

SPACE = "search_spaces/letter_few.toml"
BEST_FIRST, BEST_LAST = ["silu", "gelu", "relu"], ["relu", "gelu", "silu"]
_LOSS_OF: dict[str, dict[Any, float]] = {
    "student.mlp.activation": {"silu": 0.0, "gelu": 0.006, "relu": 0.009},
    "student.mlp.depth": {1: 0.004, 2: 0.0, 3: 0.006},
    "optim.batch_size": {32: 0.0, 64: 0.006},
    "augmentation.noise": {0.15: 0.012, 0.3: 0.0, 0.45: 0.008},
}
"""Loss of accuracy by name and value."""
_NOISE = 0.004
"""Standard deviation of one training's validation accuracy."""
_TOP, _SEEDS = 3, 5


def true_accuracy(values: Values) -> float:
    """Expected accuracy over all possible seeds."""
    rate: float = math.log(values["optim.learning_rate"] / 0.014) / 0.6
    cost: float = sum(losses[values[name]] for name, losses in _LOSS_OF.items())
    cost += 0.010 * (math.log(values["loss.temperature"] / 0.85) / 0.7) ** 2
    cost += 0.05 * (1 - values["loss.soft_weight"])
    cost += (0.012 if rate > 0 else 0.006) * rate**2
    cost += 0.001 * (math.log10(values["optim.weight_decay"]) + 3.3) ** 2
    cost += 0.01 * (1 - values["student.mlp.width"] / 128)
    return max(0.905 - cost, 0.04)


def main() -> None:
    """Simulate every way of starting."""
    made = parser(__doc__, takes_settings=True)
    made.add_argument("--trials", type=int, default=48)
    made.add_argument("--repeats", type=int, default=40)
    given = made.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    for order in (BEST_FIRST, BEST_LAST):
        for way in ("nothing known", "the middle", "the middle, and each name"):
            name = f"{way}; the best name {'first' if order == BEST_FIRST else 'last'}"
            found[name] = [_played(order, way, given.trials, seed, given.settings) for seed in range(given.repeats)]
            print(name, *_told(found[name]), flush=True)
    show(
        ("begins with", "true accuracy of the choice, %", "share of the best name"),
        [(name, *_told(played)) for name, played in found.items()],
    )
    conclude("proposals", trials=given.trials, repeats=given.repeats, found=found)


def _told(played: list[tuple[float, float]]) -> tuple[str, str]:
    chosen = [100 * accuracy for accuracy, _ in played]
    error = 1.96 * stdev(chosen) / math.sqrt(len(chosen))
    return f"{mean(chosen):.2f} +- {error:.2f}", f"{mean(share for _, share in played):.2f}"


def _played(order: list[str], way: str, trials: int, seed: int, settings: list[str]) -> tuple[float, float]:
    """One search: the true accuracy of what it chooses, and the share of its trials with the best activation."""
    choice = f"student.mlp.activation={{choice={order}}}"
    space = load_space(ROOT / SPACE, [choice, f"search.seed={seed}", f"search.trials={trials}", *settings])
    generator = np.random.default_rng(seed)
    seen, firsts = list[tuple[float, Values]](), deque(_firsts(space, way))
    with TemporaryDirectory() as folder:
        study = Study(Path(folder) / "study.journal", "played", space)
        for number in range(trials):
            proposal = study.ask(firsts.popleft() if firsts else None)
            accuracy = true_accuracy(proposal.values) + _NOISE * generator.standard_normal()
            reports = [{"epoch": 1, "val/accuracy": accuracy, "val/loss": 1 - accuracy}]
            record = TrialRecord(proposal.number, f"{number:04d}", proposal.values, reports=reports)
            study.tell(record, Status.COMPLETED)
            seen.append((accuracy, proposal.values))
    best = sorted(seen, key=lambda each: -each[0])[:_TOP]
    again = [true_accuracy(values) + _NOISE * generator.standard_normal(_SEEDS).mean() for _, values in best]
    share = mean(values["student.mlp.activation"] == "silu" for _, values in seen)
    return true_accuracy(best[int(np.argmax(again))][1]), share


def _firsts(space: Space, way: str) -> Iterator[Values]:
    """What `planning/first_to_try.py` would try first, in a space without limits."""
    if way != "nothing known":
        yield space.middle()
    if way == "the middle, and each name":
        yield from (space.middle(chosen={path: name}) for path, name in space.others)


if __name__ == "__main__":
    main()
