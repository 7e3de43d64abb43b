"""Trials per hour of whole searches with fused lanes, against the same searches without.

    .venv/bin/python benchmarks/fused_search.py [--trials 128] [--repeats 3] [--lanes auto] [--set KEY=VALUE]...

Real searches (Optuna, scheduler, TensorBoard, logbook: everything that a user's search has) on Letter, with students of
1,000 to 2,500 parameters: MLPs of one or two hidden layers with any activation, searched together with temperature,
soft weight, loss, rate and decay. They run in turns, with `resources.lanes` as given and with 1. Trials and epochs per
hour are counted from the first trial's first step to the last one's end. With lanes, more trials start before the first
one ends, so the sampler knows less when it proposes, and the number of trials that continue differs: the ratio of the
work is that of epochs per hour. Its benefit shows with `--time`, which gives both sides the same time and compares the
best validation accuracy. The teacher is small, since what it knows does not affect the time.
"""

from __future__ import annotations

from argparse import Namespace
from statistics import median
from typing import Any

from _measure import PLAIN_TEACHER, SHORT_CONFIRMATION, conclude, parser, run_search, settings, show, spread

SPACE = "search_spaces/letter.toml"
SMALL = (
    "student.mlp.width={log_int=[22, 48]}",
    "student.mlp.depth={int=[1, 2]}",
    "optim.batch_size=128",
    "limits.max_parameters=2500",
)


def main() -> None:
    """Measure, in turns."""
    given = _arguments()
    found: dict[str, list[dict[str, float]]] = {given.lanes: [], "1": []}
    for _ in range(given.repeats):
        for lanes, runs in found.items():
            runs.append(_searched(given, lanes))
    heads = ("lanes", "at a time", "trials", "trials an hour", "epochs an hour", "training share", "best val/accuracy")
    show(heads, [_row(runs) for runs in found.values()])
    pairs = list(zip(*found.values(), strict=True))
    ratios = {f"{key}_ratio": median(a[key] / b[key] for a, b in pairs) for key in ("trials_per_h", "epochs_per_h")}
    conclude("fused_search", trials=given.trials, **ratios, **{f"lanes_{lanes}": runs for lanes, runs in found.items()})


def _arguments() -> Namespace:
    made = parser(__doc__, takes_settings=True)
    made.add_argument("--trials", type=int, default=128)
    made.add_argument("--time", help="of each search, such as 120s; then give more --trials than it has time for")
    made.add_argument("--lanes", default="auto", help="auto, or a number; against 1")
    made.add_argument("--repeats", type=int, default=3, help="searches of each kind; the median counts")
    return made.parse_args()


def _searched(given: Namespace, lanes: str) -> dict[str, Any]:
    lanes = f"resources.lanes={lanes!r}" if lanes == "auto" else f"resources.lanes={lanes}"
    asked = settings(*PLAIN_TEACHER, *SMALL, lanes, *given.settings)
    size = ["--trials", str(given.trials), *(["--time", given.time] if given.time else [])]
    search = run_search(SPACE, given.storage, *size, *SHORT_CONFIRMATION, *asked)
    hours = search.summary["time"]["search_s"] / 3600
    return {
        "lanes": search.summary["lanes"],
        "at_a_time": search.summary["concurrent_trials"],
        "trials": search.summary["trials"]["total"],
        "trials_per_h": search.summary["trials_per_hour"],
        "epochs_per_h": search.summary["epochs_trained"] / hours,
        "share": search.summary["training_share"],
        "confirm_s": search.summary["time"]["confirm_s"],
        "best": max(row["val/accuracy"] for row in search.trials if row["epochs"]),
    }


def _row(runs: list[dict[str, float]]) -> tuple[object, ...]:
    spreads = (spread([run[key] for run in runs]) for key in ("trials_per_h", "epochs_per_h", "share", "best"))
    return runs[0]["lanes"], runs[0]["at_a_time"], median(run["trials"] for run in runs), *spreads


if __name__ == "__main__":
    main()
