"""The search's overhead per trial: what the workers' places spend on everything but training, divided by trials.

    .venv/bin/python benchmarks/trial_cost.py [--workers 1|2] [--documented]

    cost = (concurrency x (last trial's end - first trial's first step) - time in training and validation) / trials

A real search of the digits (`search_spaces/digits.toml`: Optuna, ASHA, teacher's cache) runs in a separate process, and
the three terms are read from its files: with training_share = training / (concurrency x span), this becomes

    cost = training x (1 / training_share - 1) / trials

It includes a worker's start if the second worker is ready later than the first, and the places that are empty while the
last trial ends: the more trials, the less they weigh. The median over trials of (seconds from proposal to end - seconds
in training), which includes neither, is shown next to it.

--documented also measures, in turns with ours, the way that Ray's documentation describes: a TorchTrainer started
inside every Tune trial (`_documented_way.py`), on the same space, data, teacher's cache and training loop.
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from statistics import median
from typing import Any

from _measure import ENVIRONMENT, ROOT, SHORT_CONFIRMATION, Search, conclude, parser, run_search, settings, show, spread

SPACE = "search_spaces/digits.toml"


def main() -> None:
    """Measure, in turns."""
    given = _arguments()
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(given.repeats):
        ours.append(_cost(_search(given)))
        if given.documented:
            theirs.append(_documented(given, int(ours[0]["concurrency"])))
    rows = [_row("distill_tune", ours)] + ([_row("documented nested way", theirs)] if theirs else [])
    show(("", "cost a trial in s", "within a trial in s", "trials", "at a time", "training share"), rows)
    ratio = median(t["cost_s"] for t in theirs) / median(o["cost_s"] for o in ours) if theirs else None
    conclude("trial_cost", workers=given.workers, ours=ours, documented=theirs, documented_to_ours=ratio)


def _arguments() -> Namespace:
    made = parser(__doc__, takes_settings=True)
    made.add_argument("--workers", type=int, default=1, help="workers a trial")
    made.add_argument("--trials", type=int, default=60)
    made.add_argument("--repeats", type=int, default=3, help="searches; the median counts")
    made.add_argument("--documented", action="store_true", help="measure the documented nested way too")
    made.add_argument("--documented-trials", type=int, default=6, help="of its searches: it needs minutes for sixty")
    return made.parse_args()


def _settings(given: Namespace) -> list[str]:
    return settings(f"resources.workers_per_trial={given.workers}", *given.settings)


def _search(given: Namespace) -> Search:
    size = ("--trials", str(given.trials))
    return run_search(SPACE, given.storage, *size, *SHORT_CONFIRMATION, *_settings(given))


def _cost(search: Search) -> dict[str, float]:
    found, rows = search.summary, [row for row in search.trials if row["epochs"]]
    trained_s, share = sum(row["training_s"] for row in rows), found["training_share"]
    return {
        "cost_s": trained_s * (1 / share - 1) / found["trials"]["total"],
        "within_s": median(row["seconds"] - row["training_s"] for row in rows),
        "trials": found["trials"]["total"],
        "concurrency": found["concurrent_trials"],
        "training_share": share,
    }


def _documented(given: Namespace, concurrency: int) -> dict[str, float]:
    size = [f"--trials={given.documented_trials}", f"--workers={given.workers}", f"--at-a-time={concurrency}"]
    command = [sys.executable, "benchmarks/_documented_way.py", SPACE, f"--storage={given.storage}", *size]
    done = subprocess.run([*command, *_settings(given)], cwd=ROOT, env=ENVIRONMENT, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"the documented way ended with status {done.returncode}:\n{done.stderr[-4000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _row(name: str, runs: list[dict[str, Any]]) -> tuple[object, ...]:
    costs, within, shares = ([run[key] for run in runs] for key in ("cost_s", "within_s", "training_share"))
    return name, spread(costs), spread(within), runs[0]["trials"], runs[0]["concurrency"], spread(shares)


if __name__ == "__main__":
    main()
