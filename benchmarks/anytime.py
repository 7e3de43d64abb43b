"""Compare schedulers, their first rung and factor, and samplers by the best student found in the same time.

    .venv/bin/python benchmarks/anytime.py [--seconds 90] [--seeds 5] [--variant asha --variant promotion]

Each variant searches the same space (by default `search_spaces/letter.toml` with at most 27 epochs) and differs from it
in one thing. Seeds run one after another, each with all variants in turn. Shown are the best validation accuracy of any
trial after a quarter, a half and all of the time, as the interquartile mean over the seeds with an interval from
resampling them, and the test accuracy of the confirmed winner. The time counts from the start of the process; the
teacher is prepared beforehand. The full curves are in the JSON line.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from _curves import anytime, curve_parser, figures, make_ready, middle, searched
from _measure import conclude, settings, show

SPACE = "search_spaces/letter.toml"
VARIANTS: dict[str, tuple[str, ...]] = {
    "asha": ("search.scheduler='asha'",),
    "promotion": ("search.scheduler='promotion'",),
    "promotion, factor 2": ("search.scheduler='promotion'", "search.reduction_factor=2"),
    "promotion, first rung 1": ("search.scheduler='promotion'", "search.min_epochs=1"),
    "hyperband": ("search.scheduler='hyperband'",),
    "median": ("search.scheduler='median'",),
    "none": ("search.scheduler='none'",),
    "random": ("search.sampler='random'",),
    "no start": ("search.start_with=[]",),
    "tpe, one at random": ("search.tpe.startup_trials=1",),
}
"""Name to what differs from the space."""
_SHOWN = (5, 10, 20)
"""Points to show, in twentieths of the time."""


def main() -> None:
    """Search, seed by seed, variant by variant."""
    given = _arguments()
    make_ready(given.space, given.storage, given.settings)
    found: dict[str, list[dict[str, Any]]] = {variant: [] for variant in given.variant or VARIANTS}
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for variant, runs in found.items():
            chosen = settings(f"search.max_epochs={given.epochs}", f"search.seed={seed}", *given.settings)
            runs.append(searched(given.space, given.storage, given.seconds, [*chosen, *settings(*VARIANTS[variant])]))
            print(variant, seed, figures(runs[-1], given.seconds, 1.0), flush=True)
    curves = {variant: anytime([run["curve"] for run in runs], given.seconds) for variant, runs in found.items()}
    tests = {variant: [run["test"] for run in runs] for variant, runs in found.items()}
    heads = ("variant", *(f"{given.seconds * part / 20:.0f} s, %" for part in _SHOWN), "test, %")
    show(heads, [(variant, *_shown(curve), f"{100 * middle(tests[variant]):.2f}") for variant, curve in curves.items()])
    conclude("anytime", space=given.space, seconds=given.seconds, curves=curves, tests=tests)


def _arguments() -> Namespace:
    made = curve_parser(__doc__, SPACE, seconds=90.0, epochs=27)
    made.add_argument("--variant", action="append", choices=list(VARIANTS), help="one of them; all, unless given")
    return made.parse_args()


def _shown(curve: list[dict[str, float]]) -> list[str]:
    points = [curve[part - 1] for part in _SHOWN]
    return [f"{100 * p['best']:.2f} [{100 * p['low']:.2f}, {100 * p['high']:.2f}]" for p in points]


if __name__ == "__main__":
    main()
