"""Trials an hour of whole searches with fused lanes, against the same searches without.

    .venv/bin/python benchmarks/fused_search.py [--trials 128] [--repeats 3] [--lanes auto] [--set KEY=VALUE]...

Real searches (Optuna, ASHA, TensorBoard, logbook: everything that a user's search does) on Letter, with students of
1,000 to 2,500 parameters: MLPs of one or two hidden layers of any activation, temperature, soft weight, loss, rate and
decay searched with them. They run in turns, with `resources.lanes` as given and with 1. Trials an hour are counted from
the first trial's first step to the last one's end; the best validation accuracy stands beside them, since lanes make
more trials start before the first has ended. The teacher is a small one: what it knows changes no time.
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
    heads = ("lanes", "at a time", "trials an hour", "training share", "best validation accuracy")
    show(heads, [_row(runs) for runs in found.values()])
    ratio = median(a["per_hour"] / b["per_hour"] for a, b in zip(*found.values(), strict=True))
    conclude(
        "fused_search", trials=given.trials, ratio=ratio, **{f"lanes_{lanes}": runs for lanes, runs in found.items()}
    )


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=128)
    made.add_argument("--lanes", default="auto", help="auto, or a number; against 1")
    made.add_argument("--repeats", type=int, default=3, help="searches of each kind; the median counts")
    made.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help="for both")
    return made.parse_args()


def _searched(given: Namespace, lanes: str) -> dict[str, Any]:
    lanes = f"resources.lanes={lanes!r}" if lanes == "auto" else f"resources.lanes={lanes}"
    asked = settings(*PLAIN_TEACHER, *SMALL, lanes, *given.settings)
    search = run_search(SPACE, given.storage, "--trials", str(given.trials), *SHORT_CONFIRMATION, *asked)
    return {
        "lanes": search.summary["lanes"],
        "at_a_time": search.summary["concurrent_trials"],
        "per_hour": search.summary["trials_per_hour"],
        "share": search.summary["training_share"],
        "epochs": search.summary["epochs_trained"],
        "confirm_s": search.summary["time"]["confirm_s"],
        "best": max(row["val/accuracy"] for row in search.trials if row["epochs"]),
    }


def _row(runs: list[dict[str, float]]) -> tuple[object, ...]:
    hourly, shares, best = ([run[key] for run in runs] for key in ("per_hour", "share", "best"))
    return runs[0]["lanes"], runs[0]["at_a_time"], spread(hourly), spread(shares), spread(best)


if __name__ == "__main__":
    main()
