"""How reliable the verdict's words are: how often each is given for students that are equally good.

    .venv/bin/python benchmarks/verdicts.py [--repeats 2000] [--test 10000] [--validation 6000] [--spread 0.0047]

Nothing is trained: a student is right about an item if its quality, the item's ease, its seed's luck and its luck with
this item add up to more than 0; all but the quality are Gaussian. Seeds spread the accuracy by `--spread`, by default
0.47 points, as for small MLPs on Letter. Every student here is equally good, so a 95 % interval should exclude 0 in 5 %
of searches, half of them for BEATS.

- Candidates: the best of several by its mean on validation is compared on test with a baseline, in the five seeds that
  chose it, or in five further ones, as a search does it.
- Seeds: one candidate in a given number of seeds; with the degrees of freedom of Welch and Satterthwaite whatever their
  number, or with the wider interval that a search uses for fewer than five.
"""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from unittest.mock import patch

import numpy as np
from _measure import conclude, parser, show
from numpy.typing import NDArray
from scipy.stats import norm

from distill_tune.evaluation import intervals
from distill_tune.evaluation.verdict import Word, judge

SEEDS, ACCURACY, ITEM_LUCK = 5, 0.93, 2.0
Table = NDArray[np.bool_]


def main() -> None:
    """Simulate both."""
    given = _arguments()
    luck = _seed_luck(given.spread)
    chosen = [
        {"candidates": count, "judged by": by, **_shares(_chosen(given, luck, count, by == "further seeds"))}
        for count in (1, 3, 10)
        for by in (("its own seeds",) if count == 1 else ("the seeds that chose it", "further seeds"))
    ]
    _show(chosen)
    few = [
        {"seeds": seeds, "interval": name, **_shares(_alone(given, luck, seeds, limit))}
        for seeds in (2, 3, 5)
        for name, limit in (("Welch and Satterthwaite", 0), ("as a search", intervals._FEW_SEEDS))
    ]
    _show(few)
    conclude("verdicts", repeats=given.repeats, candidates=chosen, few_seeds=few)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=2000, help="searches of each kind")
    made.add_argument("--test", type=int, default=10_000, help="test samples")
    made.add_argument("--validation", type=int, default=6_000, help="validation samples")
    made.add_argument("--spread", type=float, default=0.0047, help="deviation of the accuracy over seeds, a fraction")
    return made.parse_args()


def _seed_luck(spread: float) -> float:
    """Standard deviation of a seed's luck that gives this spread of accuracy, by the normal curve's slope there."""
    deviation = (1 + ITEM_LUCK**2) ** 0.5
    return float(spread * deviation / norm.pdf(norm.ppf(ACCURACY)))


def _right(rng: np.random.Generator, luck: NDArray[np.float64], ease: NDArray[np.float64]) -> Table:
    """Whether the student with each seed's luck is right about each item, [seeds, items]."""
    quality = float(norm.ppf(ACCURACY)) * (1 + ITEM_LUCK**2) ** 0.5
    return np.asarray(quality + luck[:, None] + ease + rng.standard_normal((len(luck), len(ease))) > 0)


def _chosen(given: Namespace, seed_luck: float, count: int, is_judged_anew: bool) -> Iterator[intervals.Interval]:
    for repeat in range(given.repeats):
        rng = np.random.default_rng(repeat)
        validation, test = (ITEM_LUCK * rng.standard_normal(size) for size in (given.validation, given.test))
        candidates = seed_luck * rng.standard_normal((count, SEEDS))
        best = max(candidates, key=lambda luck: float(_right(rng, luck, validation).mean()))
        judged = seed_luck * rng.standard_normal(SEEDS) if is_judged_anew else best
        baseline = seed_luck * rng.standard_normal(SEEDS)
        yield intervals.paired_difference(_right(rng, judged, test), _right(rng, baseline, test))


def _alone(given: Namespace, seed_luck: float, seeds: int, limit: int) -> Iterator[intervals.Interval]:
    with patch.object(intervals, "_FEW_SEEDS", limit):  # below this number, the wider interval is used
        for repeat in range(given.repeats):
            rng = np.random.default_rng(repeat)
            test = ITEM_LUCK * rng.standard_normal(given.test)
            ours, other = (_right(rng, seed_luck * rng.standard_normal(seeds), test) for _ in range(2))
            yield intervals.paired_difference(ours, other)


def _shares(found: Iterator[intervals.Interval]) -> dict[str, float]:
    differences = list(found)
    words = Counter(map(judge, differences))
    means, widths = [d.mean for d in differences], [d.high - d.low for d in differences]
    return {
        "BEATS, %": 100 * words[Word.BEATS] / len(differences),
        "DOES NOT BEAT, %": 100 * words[Word.DOES_NOT_BEAT] / len(differences),
        "mean difference, points": 100 * float(np.mean(means)),
        "width, points": 100 * float(np.mean(widths)),
    }


def _show(rows: Sequence[Mapping[str, object]]) -> None:
    show(list(rows[0]), [[f"{v:.2f}" if isinstance(v, float) else v for v in row.values()] for row in rows])


if __name__ == "__main__":
    main()
