"""How much does one part of a distillation contribute? The same student with and without it, at the same few rates.

    .venv/bin/python benchmarks/parts.py [--group beginnings] [--seeds 5]

Single trainings, no search: each variant of a group is trained at the same learning rates, in the same seeds. A
variant's rate is the one with the best mean validation accuracy. Its students at that rate are examined on test and
compared with those of the group's first variant, seed by seed, with a verdict's interval. Three rates are not a search:
a variant that would need another temperature or weight does not get it.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

import numpy as np
import torch
from _distillations import Tables, laid_over
from _measure import conclude, parser, show
from _variants import GROUPS
from numpy.typing import NDArray

from distill_tune.config import Space
from distill_tune.data.dataset import open_test
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.evaluation.intervals import mean_interval, paired_difference
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.evaluation.verdict import judge


@dataclass(frozen=True)
class Trained:
    """A variant at one learning rate."""

    rate: float
    validation: float
    """Mean accuracy over the seeds."""
    correct: NDArray[np.bool_]
    """[seeds, test samples]."""


def main() -> None:
    """Train, group by group."""
    given = _arguments()
    torch.set_num_threads(1)
    found = {name: _group(name, given) for name in given.group or GROUPS}
    conclude("parts", seeds=given.seeds, rates=given.rates, groups=found)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--group", action="append", choices=list(GROUPS), help="one of them; all, unless given")
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--rates", type=float, nargs="+", default=[3e-3, 1e-2, 3e-2])
    return made.parse_args()


def _group(name: str, given: Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    first: NDArray[np.bool_] | None = None
    for variant, changes in GROUPS[name].variants.items():
        best = _best(laid_over(GROUPS[name].base, changes), given)
        rows.append({"variant": variant, "rate": best.rate, "validation": best.validation} | _examined(best, first))
        first = best.correct if first is None else first
        print(f"{name}: {variant}", *_told(rows[-1])[1:], flush=True)
    show(
        (name, "rate", "validation, %", "test, % [95 %]", "against the first, points [95 %]", "word"),
        [_told(row) for row in rows],
    )
    return rows


def _best(tables: Tables, given: Namespace) -> Trained:
    space = Space.parse(tables)
    preparation = prepare(space, given.storage / ".cache", lambda line: None)
    each = (_trained(tables, rate, preparation, given.seeds) for rate in given.rates)
    return max(each, key=lambda trained: trained.validation)


def _trained(tables: Tables, rate: float, preparation: Preparation, seeds: int) -> Trained:
    config = Space.parse(laid_over(tables, {"optim": {"learning_rate": rate}})).config
    materials, test = Materials.open(preparation.prepared, config), open_test(preparation.dataset)
    validations, correct = [], []
    for seed in range(seeds):
        *_, last = distill(config, materials, seed)
        validations.append(last.report["val/accuracy"])
        correct.append(predict_logits(last.student.eval(), test.inputs).argmax(1) == test.labels)
    return Trained(rate, mean(validations), np.stack(correct))


def _examined(trained: Trained, first: NDArray[np.bool_] | None) -> dict[str, Any]:
    test = {"test": asdict(mean_interval(trained.correct))}
    if first is None:
        return test
    gain = paired_difference(trained.correct, first)
    return test | {"gain": asdict(gain), "word": str(judge(gain))}


def _told(row: dict[str, Any]) -> tuple[str, ...]:
    validation, test = f"{100 * row['validation']:.2f}", _points(row["test"])
    compared = (_points(row["gain"]), row["word"]) if "gain" in row else ("-", "-")
    return row["variant"], f"{row['rate']:g}", validation, test, *compared


def _points(interval: dict[str, float]) -> str:
    mean_, low, high = (f"{100 * interval[end]:.2f}" for end in ("mean", "low", "high"))
    return f"{mean_} [{low}, {high}]"


if __name__ == "__main__":
    main()
