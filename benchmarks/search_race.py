"""The best student for the same seconds: our search, plain Optuna, and Ray's documented way, in turns.

    .venv/bin/python benchmarks/search_race.py [--seconds 300] [--seeds 5] [--side ours --side optuna]

Fashion-MNIST, the space of `search_spaces/fashion_mnist.toml` with a teacher that is ready beforehand, two trials at a
time, one thread each. All sides have the same prepared data, teacher's logits, limits and student families:

- ours: `python -m distill_tune.search`; its confirmation comes after the seconds and is not counted;
- optuna: `_plain_optuna.py`, TPE and successive halving, as many processes as places, `_bare_loop.py`;
- documented: `_documented_way.py`, a TorchTrainer in every Tune trial, OptunaSearch, ASHAScheduler.

A side's seconds count from its process's start. Of each seed: epochs trained, the best validation accuracy at the
end, the test accuracy of the student that was best on validation (of ours: of the confirmed winner, mean over its
seeds), and the seconds until a validation accuracy was reached first. The curves, in steps of a twentieth of the
time, are in the JSON line: interquartile mean over the seeds with an interval from resampling them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
from _measure import ENVIRONMENT, ROOT, SHORT_CONFIRMATION, conclude, parser, run_search, settings, show, spread

SPACE = "search_spaces/fashion_mnist.toml"
FIXED = (
    "search.min_epochs=1",
    "teacher.train.epochs=4",
    "augmentation.flip=0.5",
    "augmentation.shift=1",
)
_STEPS = 20
_CONFIRMATION_SHARE = 1.5
"""A search keeps a third of its time for its confirmation."""
_RESAMPLED = 2000
Curve = list[tuple[float, float]]


def main() -> None:
    """Race, seed by seed, side by side."""
    given = _arguments()
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in given.side or SIDES}
    for seed in range(given.seeds):
        for side, runs in found.items():
            runs.append(SIDES[side](given, seed))
            print(side, seed, _figures(runs[-1], given), flush=True)
    heads = ("side", "epochs", "trials", "validation, %", "test, %", f"s to {given.target:.1%}")
    show(heads, [_row(side, [_figures(run, given) for run in runs]) for side, runs in found.items()])
    curves = {side: _anytime([run["curve"] for run in runs], given.seconds) for side, runs in found.items()}
    figures = {side: [_figures(run, given) for run in runs] for side, runs in found.items()}
    conclude("search_race", seconds=given.seconds, target=given.target, figures=figures, curves=curves)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--space", default=SPACE)
    made.add_argument("--seconds", type=float, default=300.0)
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--epochs", type=int, default=9, help="of a full training")
    made.add_argument("--target", type=float, default=0.905, help="a validation accuracy to be reached")
    made.add_argument("--side", action="append", choices=list(SIDES), help="one of them; all, unless given")
    made.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help="for all")
    return made.parse_args()


def _settings(given: Namespace, seed: int) -> list[str]:
    return settings(*FIXED, f"search.max_epochs={given.epochs}", f"search.seed={seed}", *given.settings)


def _ours(given: Namespace, seed: int) -> dict[str, Any]:
    time = ("--time", f"{_CONFIRMATION_SHARE * given.seconds:.0f}s", "--trials", "100000")
    search = run_search(given.space, given.storage, *time, *SHORT_CONFIRMATION, *_settings(given, seed))
    entries = [json.loads(line) for line in (search.folder / "ledger.jsonl").read_text().splitlines()]
    trials = {entry["trial"]["trial_id"] for entry in entries if entry["entry"] == "started"}
    until = next(entry["at_s"] for entry in entries if entry["entry"] == "searched")
    curve = [
        (entry["at_s"] - search.began_s, entry["report"]["val/accuracy"])
        for entry in entries
        if entry["entry"] == "reported" and entry["at_s"] <= until
    ]
    test = search.summary["best"]["test"]["accuracy"]["mean"]
    return {"curve": curve, "trials": len(trials), "test": test}


def _peer(script: str) -> Callable[[Namespace, int], dict[str, Any]]:
    def run(given: Namespace, seed: int) -> dict[str, Any]:
        size = [given.space, f"--storage={given.storage}", f"--seconds={given.seconds}"]
        command = [sys.executable, f"benchmarks/{script}", *size, *_settings(given, seed)]
        done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


SIDES: dict[str, Callable[[Namespace, int], dict[str, Any]]] = {
    "ours": _ours,
    "optuna": _peer("_plain_optuna.py"),
    "documented": _peer("_documented_way.py"),
}


def _figures(run: dict[str, Any], given: Namespace) -> dict[str, Any]:
    in_time = [(at_s, accuracy) for at_s, accuracy in run["curve"] if at_s <= given.seconds]
    return {
        "epochs": len(in_time),
        "trials": run["trials"],
        "validation": max((accuracy for _, accuracy in in_time), default=0.0),
        "test": run["test"],
        "target_s": min((at_s for at_s, accuracy in in_time if accuracy >= given.target), default=None),
    }


def _row(side: str, runs: Sequence[dict[str, Any]]) -> tuple[object, ...]:
    times = sorted(run["target_s"] or float("inf") for run in runs)
    shares = (spread([100 * run[key] for run in runs], 2) for key in ("validation", "test"))
    return side, median(run["epochs"] for run in runs), median(run["trials"] for run in runs), *shares, median(times)


def _anytime(curves: Sequence[Curve], seconds: float) -> list[dict[str, float]]:
    """The best so far at each twentieth of the time: interquartile mean over seeds, and its 95 % interval."""
    generator = np.random.default_rng(0)
    points = []
    for at_s in np.linspace(0, seconds, _STEPS + 1)[1:]:
        best = np.array([max((a for s, a in curve if s <= at_s), default=0.0) for curve in curves])
        means = [_middle(generator.choice(best, len(best))) for _ in range(_RESAMPLED)]
        low, high = np.quantile(means, [0.025, 0.975])
        points.append({"at_s": float(at_s), "best": _middle(best), "low": float(low), "high": float(high)})
    return points


def _middle(values: Any) -> float:
    """Interquartile mean (Agarwal et al. 2021, https://arxiv.org/abs/2108.13264): of the middle half."""
    ordered, cut = np.sort(values), len(values) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


if __name__ == "__main__":
    main()
