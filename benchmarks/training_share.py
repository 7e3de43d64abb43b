"""How much of the workers' time a search spends training: Fashion-MNIST, two trials at a time.

    .venv/bin/python benchmarks/training_share.py [--time 5m]

training_share = time inside training and validation steps / (trials at a time x time from the first trial's first step
to the last trial's end), as measured by the workers and recorded in `summary.json`. A third of --time is reserved for
the confirmation, which is not part of the share. The space's teacher is trained in the first run, which takes half an
hour on two cores, and found in the cache afterwards; the share does not depend on what it knows, so a small one will
do: --set "teacher.family='mlp'" --set "teacher.mlp.widths=[64]" --set teacher.views=2 --set teacher.train.epochs=1
"""

from __future__ import annotations

from typing import Any

from _measure import Search, conclude, parser, run_search, settings, show


def main() -> None:
    """Run the searches one after the other, and show each."""
    made = parser(__doc__, takes_settings=True)
    made.add_argument("--space", default="search_spaces/fashion_mnist.toml")
    made.add_argument("--time", default="5m", help="for search and confirmation together")
    made.add_argument("--trials", type=int, default=1000, help="so many that the time ends the search")
    made.add_argument("--at-a-time", type=int, default=2)
    made.add_argument("--repeats", type=int, default=1)
    given = made.parse_args()
    size = ("--time", given.time, "--trials", str(given.trials))
    asked = settings(f"resources.concurrent_trials={given.at_a_time}", *given.settings)
    runs = [_figures(run_search(given.space, given.storage, *size, *asked)) for _ in range(given.repeats)]
    show(list(runs[0]), [[_in_words(value) for value in run.values()] for run in runs])
    conclude("training_share", space=given.space, time=given.time, runs=runs)


def _figures(search: Search) -> dict[str, Any]:
    found = search.summary
    best = found["best"]
    return {
        "training_share": found["training_share"],
        "trials": found["trials"]["total"],
        "epochs": found["epochs_trained"],
        "at_a_time": found["concurrent_trials"],
        "search_s": found["time"]["search_s"],
        "val_accuracy": best["validation"]["accuracy"],
        "test_accuracy": best["test"]["accuracy"]["mean"],
        "parameters": best["parameters"],
    }


def _in_words(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
