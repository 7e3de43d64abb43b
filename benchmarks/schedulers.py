"""Compare schedulers, their first rung and their factor by replaying real learning curves.

    .venv/bin/python benchmarks/schedulers.py [--students 160] [--orders 400] [--budgets 100 200 400]

Students of `search_spaces/letter.toml` (small ones, so that it takes minutes) are drawn at random and all trained to
the end. What each would have reported at each epoch is then known, and searches are simulated on these curves without
training: two places, the measured time per epoch, and the real judges of `distill_tune/tuning/schedulers/`. Pausing and
resuming cost nothing here; `benchmarks/anytime.py` compares whole searches, with far fewer repeats. Shown, over many
orders of the same students: the final validation accuracy of the best completed trial within each budget of epochs (or
of the best seen if none has completed), and by how much each variant differs from the first, order by order.

Further variants show the judge something other than the accuracy so far: validation loss; the accuracy continued by its
last step (extrapolation); or the accuracy with a head start for larger students (a cheap proxy): a quarter of the
spread at a rung for each standard deviation of the logarithm of their size, shrinking towards the end. `larger first`
proposes in the order of size, with noise as wide as its spread. `middle` starts with the student in the middle of every
range, which in `opener` no rung stops.
"""

from __future__ import annotations

import heapq
import json
import random
from argparse import Namespace
from typing import Any, NamedTuple

import numpy as np
import optuna
import torch
from _measure import ROOT, conclude, parser, show

from distill_tune.config.load import load_space
from distill_tune.config.searching import SearchConfig
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.tuning.schedulers import Judge

SPACE = "search_spaces/letter.toml"
MAX_EPOCHS = 27
SMALL = ("student.mlp.width={log_int=[16, 40]}", "student.mlp.depth={int=[1, 2]}", f"search.max_epochs={MAX_EPOCHS}")
PLACES = 2
HEAD_START = 0.25
VARIANTS: dict[str, dict[str, Any]] = {
    "asha": {},
    "asha, factor 2": {"reduction_factor": 2},
    "asha, factor 4": {"reduction_factor": 4},
    "asha, first rung 3": {"min_epochs": 3},
    "hyperband": {"scheduler": "hyperband"},
    "median": {"scheduler": "median"},
    "none": {"scheduler": "none"},
    "promotion": {"scheduler": "promotion"},
    "promotion, factor 2": {"scheduler": "promotion", "reduction_factor": 2},
    "promotion, factor 4": {"scheduler": "promotion", "reduction_factor": 4},
    "promotion, first rung 3": {"scheduler": "promotion", "min_epochs": 3},
    "promotion, by loss": {"scheduler": "promotion"},
    "promotion, extrapolated": {"scheduler": "promotion"},
    "promotion, head start": {"scheduler": "promotion"},
    "promotion, larger first": {"scheduler": "promotion"},
    "promotion, middle": {"scheduler": "promotion"},
    "promotion, opener": {"scheduler": "promotion"},
}
"""Name, whose last part says what a judge is shown, to what differs from `asha` with its defaults."""


class Curve(NamedTuple):
    """Learning curve of one student."""

    scores: list[float]
    """Validation accuracy after each epoch."""
    losses: list[float]
    """Validation loss after each epoch."""
    epoch_s: float
    parameters: int


class Played(NamedTuple):
    """Result of a simulated search."""

    best: float
    trials: int


def main() -> None:
    """Train, then simulate."""
    given = _arguments()
    curves, rows, found = _curves(given), [], dict[str, Any]()
    for budget in given.budgets:
        first: Any = None
        for variant, search in VARIANTS.items():
            config = SearchConfig(**{"max_epochs": MAX_EPOCHS, "scheduler": "asha", **search})
            shown = _shown(curves, variant)
            played = [
                _play(Player(curves, shown, order, _judge(config), budget, _opener(variant, given.students)))
                for order in _orders(given, curves, variant)
            ]
            best = 100 * np.array([one.best for one in played])
            first = best if first is None else first
            error = 1.96 * (best - first).std(ddof=1) / len(best) ** 0.5
            gain, trials = (best - first).mean(), np.mean([one.trials for one in played])
            found[f"{variant} {budget}"] = {"best": best.mean(), "gain": gain, "error": error, "trials": trials}
            rows.append((budget, variant, f"{best.mean():.2f}", f"{gain:+.2f} +- {error:.2f}", f"{trials:.0f}"))
    show(("epochs", "variant", "best, %", f"against {next(iter(VARIANTS))}, points", "trials"), rows)
    conclude("schedulers", students=given.students, orders=given.orders, found=found)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--students", type=int, default=160)
    made.add_argument("--orders", type=int, default=400, help="in which the students are proposed")
    made.add_argument("--budgets", type=int, nargs="+", default=[100, 200, 400], help="epochs of all trials together")
    return made.parse_args()


def _judge(config: SearchConfig) -> Judge:
    made: Judge = config.chosen("scheduler").judge(config)
    return made


def _opener(variant: str, middle: int) -> int | None:
    """The student that no rung stops, if there is one."""
    return middle if variant.endswith("opener") else None


def _orders(given: Namespace, curves: list[Curve], variant: str) -> list[list[int]]:
    """Orders of the students' numbers; the last student, that of the middle, comes first or not at all."""
    count, first = given.students, [given.students] if variant.endswith(("middle", "opener")) else []
    if variant.endswith("larger first"):
        noise = (np.random.default_rng(seed).normal(size=count) for seed in range(given.orders))
        return [np.argsort(-_sizes(curves)[:count] - each).tolist() for each in noise]
    return [first + random.Random(seed).sample(range(count), count) for seed in range(given.orders)]


def _sizes(curves: list[Curve]) -> np.ndarray:
    """Logarithms of the numbers of parameters, with mean 0 and standard deviation 1."""
    logarithms = np.log([curve.parameters for curve in curves])
    return np.asarray((logarithms - logarithms.mean()) / logarithms.std())


def _shown(curves: list[Curve], variant: str) -> np.ndarray:
    """What the judge is shown of each student, [students, epochs]; larger is better."""
    scores, losses = (np.array([getattr(curve, key) for curve in curves]) for key in ("scores", "losses"))
    if variant.endswith("by loss"):
        return -losses
    if variant.endswith("extrapolated"):
        return scores + np.diff(scores, axis=1, prepend=scores[:, :1])
    if variant.endswith("head start"):
        left = 1 - np.arange(1, MAX_EPOCHS + 1) / MAX_EPOCHS
        return np.asarray(scores + HEAD_START * left * scores.std(0) * _sizes(curves)[:, None])
    return scores


def _curves(given: Namespace) -> list[Curve]:
    """The curves of the students and of the middle one; cached in the storage by number of students."""
    kept = given.storage / f"curves-of-{given.students}.json"
    if kept.exists():
        return [Curve(*curve) for curve in json.loads(kept.read_text())]
    torch.set_num_threads(1)
    space = load_space(ROOT / SPACE, [*SMALL, "search.min_epochs=1"])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    prepared = prepare(space, given.storage / ".cache", print).prepared
    curves = []
    sampled = (space.suggest(study.ask()) for _ in range(given.students))
    for number, values in enumerate((*sampled, space.middle())):
        config = space.at(values)
        materials = Materials.open(prepared, config)
        reports = [epoch.report for epoch in distill(config, materials, number)]
        accuracies, losses, seconds = (
            [report[key] for report in reports] for key in ("val/accuracy", "val/loss", "time/training_s")
        )
        parameters = sum(each.numel() for each in materials.build_student(config).parameters())
        curves.append(Curve(accuracies, losses, sum(seconds) / len(seconds), parameters))
    kept.write_text(json.dumps(curves))
    return curves


class Player:
    """One simulated search: which student is where, and how many epochs are spent."""

    def __init__(
        self, curves: list[Curve], shown: np.ndarray, order: list[int], judge: Judge, budget: int, opener: int | None
    ):
        self.curves, self.shown, self.judge, self.budget, self.opener = curves, shown, judge, budget, opener
        self.waiting, self.epochs = list(reversed(order)), dict[int, int]()
        self.places: list[tuple[float, int, int]] = []
        self.spent = 0
        self._stops = sorted({rung.epochs for rung in judge.rungs} | {MAX_EPOCHS})

    def train(self, now_s: float, student: int) -> None:
        """Train a student up to the next rung."""
        stop = next(epochs for epochs in self._stops if epochs > self.epochs.setdefault(student, 0))
        legs = stop - self.epochs[student]
        self.spent += legs
        heapq.heappush(self.places, (now_s + legs * self.curves[student].epoch_s, student, stop))

    def fill(self, now_s: float) -> None:
        """Fill a free place."""
        if self.spent >= self.budget:
            return
        name = self.judge.next_to_promote(is_last=False)
        if name is not None:
            self.judge.promote(name, self.epochs[int(name)])
            self.train(now_s, int(name))
        elif self.waiting:
            self.train(now_s, self.waiting.pop())

    def arrive(self, now_s: float, student: int, epochs: int) -> None:
        """Handle a student that has reached a rung or its end."""
        before, self.epochs[student] = self.epochs[student], epochs
        goes_on = [self._goes_on(student, epoch) for epoch in range(before + 1, epochs + 1)]
        if epochs < MAX_EPOCHS and all(goes_on) and self.spent < self.budget:
            self.train(now_s, student)
            return
        if epochs < MAX_EPOCHS and not all(goes_on) and self.judge.pauses:
            self.judge.pause(_name(student), epochs)
        self.fill(now_s)

    def _goes_on(self, student: int, epoch: int) -> bool:
        goes_on = self.judge.goes_on(_name(student), epoch, float(self.shown[student, epoch - 1]))
        return goes_on or student == self.opener


def _name(student: int) -> str:
    return f"{student:04d}"


def _play(player: Player) -> Played:
    for _ in range(PLACES):
        player.fill(0.0)
    while player.places:
        player.arrive(*heapq.heappop(player.places))
    seen = {student: player.curves[student].scores[count - 1] for student, count in player.epochs.items() if count}
    ends = [score for student, score in seen.items() if player.epochs[student] == MAX_EPOCHS]
    return Played(max(ends or seen.values()), len(player.epochs))


if __name__ == "__main__":
    main()
