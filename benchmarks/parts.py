"""What is one part of a distillation worth by itself? The same student with it and without, at the same few rates.

    .venv/bin/python benchmarks/parts.py [--group beginnings] [--seeds 5]

Single trainings, no search: each variant of a group at the same learning rates, in the same seeds. A variant's rate is
the one with the best mean validation accuracy. Its students of that rate are examined on test and compared with those
of the group's first variant, seed by seed, with a verdict's interval. Three rates are not a search: a variant that
would need another temperature or weight is not given it.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import torch
from _measure import conclude, parser, show
from numpy.typing import NDArray

from distill_tune.config import Space
from distill_tune.data.dataset import open_test
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.evaluation.intervals import mean_interval, paired_difference
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.evaluation.verdict import judge

Tables = dict[str, dict[str, Any]]
BLOBS: Tables = {
    "data": {"source": "blobs", "blobs": {"classes": 20}},
    "teacher": {
        "source": "train",
        "family": "mlp",
        "mlp": {"widths": [100, 200, 300]},
        "train": {"epochs": 40, "learning_rate": 2e-3, "weight_decay": 0.01, "batch_size": 128},
    },
    "student": {"family": "mlp", "mlp": {"widths": [20, 20, 20]}},
    "loss": {"temperature": 2.0, "soft_weight": 0.5},
    "optim": {"weight_decay": 1e-4, "batch_size": 64},
    "search": {"max_epochs": 27},
}
"""The question that the project began with; see `search_spaces/original_request.toml`."""
_RECIPE = {
    "epochs": 60,
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "batch_size": 256,
    "augmentation": {"mixup": 0.2},
}
_TEACHER = {"source": "train", "family": "mlp", "mlp": {"widths": [512, 512, 512], "dropout": 0.1}, "train": _RECIPE}
LETTER: Tables = {
    "data": {"source": "letter", "student_samples": 1_000, "passes": 16},
    "teacher": {**_TEACHER, "views": 216},
    "student": {"family": "mlp", "mlp": {"widths": [32, 32], "activation": "gelu"}},
    "loss": {"temperature": 1.3, "soft_weight": 0.9},
    "optim": {"weight_decay": 1e-3, "batch_size": 64, "schedule": "one_cycle"},
    "augmentation": {"noise": 0.3},
    "search": {"max_epochs": 27},
}
"""A student of few labels; see `search_spaces/letter_few.toml`."""
LETTER_ALL: Tables = {
    **LETTER,
    "data": {"source": "letter"},
    "teacher": {**_TEACHER, "views": 27},
    "optim": {"weight_decay": 1e-3, "batch_size": 128, "schedule": "one_cycle"},
    "augmentation": {},
    "search": {"max_epochs": 81},
}
"""The same student with all labels; see `search_spaces/letter.toml`."""


def laid_over(base: Tables, changes: Tables) -> Tables:
    """The tables with those of `changes` over them, section by section; another teacher stands by itself."""
    merged = {name: {**base.get(name, {}), **changes.get(name, {})} for name in (*base, *changes)}
    if "source" in changes.get("teacher", {}):
        merged["teacher"] = changes["teacher"]
    return merged


class Group(NamedTuple):
    """Variants of one distillation."""

    base: Tables
    variants: dict[str, Tables]
    """By name, what is laid over `base`; the first is what the others are compared with."""


def _begun(init: str, **options: Any) -> Tables:
    return {"student": {"init": init, **({init: options} if options else {})}}


def _several(average: str) -> Tables:
    members = {f"of-seed-{seed}": {**_TEACHER, "train": {**_RECIPE, "seed": seed}} for seed in range(3)}
    return {"teacher": {"source": "ensemble", "views": 216, "ensemble": {"members": members, "average": average}}}


def _also(name: str, **options: Any) -> Tables:
    return {"loss": {"also": {name: 1.0}, **({name: options} if options else {})}}


def _of_widths(*widths: int) -> Tables:
    return {"teacher": {"mlp": {"widths": list(widths), "dropout": 0.1}}}


_SIZES = {"512-512-512": Tables()} | {
    "-".join(map(str, widths)): _of_widths(*widths) for widths in ((256, 256), (128, 128), (128, 128, 128), (64, 64))
}
_AS_USUAL = {"as PyTorch begins": Tables()}
_FIRST_WIDTH: Tables = {"student": {"mlp": {"widths": [100, 20, 20]}}}
GROUPS = {
    "beginnings": Group(
        BLOBS,
        _AS_USUAL
        | {f"gaussian, {std}": _begun("gaussian", std=std) for std in (0.02, 0.1, 0.3)}
        | {"inherit": _begun("inherit")}
        | {f"inherit_progressive, by {by}": _begun("inherit_progressive", free_by=by) for by in (0.25, 0.5, 1.0)},
    ),
    "truncation": Group(
        laid_over(BLOBS, _FIRST_WIDTH), _AS_USUAL | {"truncate, one layer": _begun("truncate", layers=1)}
    ),
    "norms": Group(
        BLOBS,
        {"no limit": {}}
        | {f"norm_ratio {ratio}": {"regularization": {"norm_ratio": ratio}} for ratio in (1, 0.5, 0.3, 0.2, 0.1)},
    ),
    "live": Group(
        {**BLOBS, "augmentation": {"noise": 0.1}},
        {
            "cached, 8 views": {"teacher": {"views": 8}},
            "cached, 27 views": {"teacher": {"views": 27}},
            "live": {"teacher": {"mode": "live"}},
            "live, steps of 4 batches of 16": {
                "teacher": {"mode": "live"},
                "optim": {"batch_size": 16, "accumulate": 4},
            },
        },
    ),
    "teachers": Group(
        LETTER,
        {
            "one": {},
            "born again, once": {"teacher": {"train": {**_RECIPE, "generations": 1}}},
            "born again, twice": {"teacher": {"train": {**_RECIPE, "generations": 2}}},
            "three, mean logits": _several("logits"),
            "three, mean probabilities": _several("probabilities"),
            "a smaller one, 128-128": _of_widths(128, 128),
        },
    ),
    "sizes": Group(LETTER, _SIZES),
    "sizes, all labels": Group(LETTER_ALL, {"labels alone": {"loss": {"soft_weight": 0.0}}} | _SIZES),
    "features": Group(
        LETTER,
        {"soft_targets alone": {}}
        | {f"and {name}": _also(name) for name in ("hint", "pkt", "vid", "crd")}
        | {f"and {name}": _also(name, on="features") for name in ("rkd", "sp")},
    ),
}


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
