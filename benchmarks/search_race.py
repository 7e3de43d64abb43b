"""The best student in the same time: our search, plain Optuna, and Ray's documented way, in turns.

    .venv/bin/python benchmarks/search_race.py [--seconds 300] [--seeds 5] [--side ours --side optuna]

Fashion-MNIST, the space of `search_spaces/fashion_mnist.toml` with a teacher that is prepared beforehand, two trials at
a time, one thread each. All sides have the same prepared data, teacher's logits, limits and student families:

- ours: `python -m distill_tune.search`, interrupted when the time is over, so that it confirms nothing;
- optuna: `_plain_optuna.py`, TPE and successive halving, as many processes as places, `_bare_loop.py`;
- documented: `_documented_way.py`, a TorchTrainer in every Tune trial, OptunaSearch, ASHAScheduler.

Our time counts from the start of the process, the peers' from when they have imported everything (some two seconds
later, and five for the documented way, which by then has started Ray). Their trial counts include students that are too
large, which train nothing; ours do not. For each seed: epochs trained; the multiply-adds of a sample's forward pass,
summed over these epochs (larger students get fewer epochs); the best validation accuracy at the end; the test accuracy
of the student that was best on validation; and the seconds until a validation accuracy was first reached. The curves,
in steps of a twentieth of the time, are in the JSON line: interquartile mean over the seeds with an interval from
resampling them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from _curves import anytime, curve_parser, figures, interrupted, make_ready
from _measure import ENVIRONMENT, ROOT, conclude, settings, show, spread

SPACE = "search_spaces/fashion_mnist.toml"
FIXED = (
    "search.min_epochs=1",
    "teacher.resnet={width=32, depth=1, stages=3}",
    "teacher.train.epochs=4",
    "teacher.train.augmentation={flip=0.5, shift=1, cutout=0}",
    "student.resnet.first_stride=2",
    "augmentation.flip=0.5",
    "augmentation.shift=1",
)


def main() -> None:
    """Race, seed by seed, side by side."""
    given = _arguments()
    make_ready(given.space, given.storage, [*FIXED, *given.settings])
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in given.side or SIDES}
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for side, runs in found.items():
            runs.append(SIDES[side](given, seed))
            print(side, seed, figures(runs[-1], given.seconds, given.target), flush=True)
    heads = (
        "side",
        "epochs",
        "million multiply-adds x epochs",
        "trials",
        "validation, %",
        "test, %",
        f"s to {given.target:.1%}",
    )
    all_figures = {side: [figures(run, given.seconds, given.target) for run in runs] for side, runs in found.items()}
    show(heads, [_row(side, of_side) for side, of_side in all_figures.items()])
    curves = {side: anytime([run["curve"] for run in runs], given.seconds) for side, runs in found.items()}
    conclude("search_race", seconds=given.seconds, target=given.target, figures=all_figures, curves=curves)


def _arguments() -> Namespace:
    made = curve_parser(__doc__, SPACE, seconds=300.0, epochs=9)
    made.add_argument("--target", type=float, default=0.905, help="a validation accuracy to be reached")
    made.add_argument("--side", action="append", choices=list(SIDES), help="one of them; all, unless given")
    return made.parse_args()


def _settings(given: Namespace, seed: int) -> list[str]:
    return settings(*FIXED, f"search.max_epochs={given.epochs}", f"search.seed={seed}", *given.settings)


def _ours(given: Namespace, seed: int) -> dict[str, Any]:
    return interrupted(given.space, given.storage, given.seconds, _settings(given, seed))


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


def _row(side: str, runs: Sequence[dict[str, Any]]) -> tuple[object, ...]:
    times = sorted(run["target_s"] or float("inf") for run in runs)
    shares = (spread([100 * run[key] for run in runs], 2) for key in ("validation", "test"))
    counts = (median(run[key] for run in runs) for key in ("epochs", "million_multiply_adds", "trials"))
    return side, *counts, *shares, median(times)


if __name__ == "__main__":
    main()
