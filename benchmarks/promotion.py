"""Asynchronous successive halving that stops trials, against the one that pauses and promotes them, on real curves.

    .venv/bin/python benchmarks/promotion.py [--students 160] [--orders 400] [--budgets 200 400 800]

Students of `search_spaces/letter.toml` (small ones, so that it takes minutes) are drawn at random and all trained to
the end; what each would have said at each epoch is then known, and searches are played on these curves without any
training: two places, each epoch as long as it took. In the stopping variant, which `scheduler = "asha"` is, a trial at
a rung goes on if it is among the best third of those that have come so far, else it ends. In the promoting variant (Li
et al. 2020, https://arxiv.org/abs/1810.05934, Algorithm 2) every trial pauses at each rung, and a free place takes up
whoever has come to be among the best third of a rung, else a new trial; pausing and taking up again cost nothing here,
which flatters it. Compared, over many orders of the same students: the final validation
accuracy of the best trial that has come to its end within the budget of epochs, or of the best seen where none has.
"""

from __future__ import annotations

import heapq
import random
from argparse import Namespace
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import optuna
import torch
from _measure import PLAIN_TEACHER, ROOT, conclude, parser, show

from distill_tune.config.load import load_space
from distill_tune.distillation.loop import distill
from distill_tune.distillation.materials import Materials
from distill_tune.distillation.prepare import prepare
from distill_tune.tuning.schedulers._base import ladder

SPACE = "search_spaces/letter.toml"
SMALL = ("student.mlp.width={log_int=[16, 40]}", "student.mlp.depth={int=[1, 2]}", "search.max_epochs=27")
PLACES = 2


class Curve(NamedTuple):
    """Of one student."""

    scores: list[float]
    """After each epoch."""
    epoch_s: float


class Played(NamedTuple):
    """A search on curves."""

    best: float
    trials: int


def main() -> None:
    """Train, then play."""
    given = _arguments()
    torch.set_num_threads(1)
    space = load_space(ROOT / SPACE, [*PLAIN_TEACHER, *SMALL, "search.min_epochs=1"])
    curves = _curves(space, given)
    rungs, rows, found = ladder(space.config.search), [], {}
    for budget in given.budgets:
        pairs = np.array([_pair(curves, rungs, budget, order) for order in range(given.orders)])
        gain = 100 * (pairs[:, 1, 0] - pairs[:, 0, 0])
        error = 1.96 * gain.std(ddof=1) / len(gain) ** 0.5
        stopping, promoting = (100 * pairs[:, side, 0].mean() for side in (0, 1))
        trials = (pairs[:, side, 1].mean() for side in (0, 1))
        found[budget] = {"stopping": stopping, "promoting": promoting, "gain": gain.mean(), "error": error}
        rows.append(
            (budget, f"{stopping:.2f}", f"{promoting:.2f}", f"{gain.mean():+.3f} +- {error:.3f}", *map(int, trials))
        )
    heads = (
        "epochs",
        "stopping, %",
        "promoting, %",
        "gain of promoting, points",
        "trials, stopping",
        "trials, promoting",
    )
    show(heads, rows)
    conclude("promotion", students=given.students, orders=given.orders, found=found)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--students", type=int, default=160)
    made.add_argument("--orders", type=int, default=400, help="in which the students are proposed")
    made.add_argument("--budgets", type=int, nargs="+", default=[100, 200, 400], help="epochs of all trials together")
    return made.parse_args()


def _curves(space: Any, given: Namespace) -> list[Curve]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    prepared = prepare(space, given.storage / ".cache", print).prepared
    curves = []
    for number in range(given.students):
        config = space.at(space.suggest(study.ask()))
        reports = [epoch.report for epoch in distill(config, Materials.open(prepared, config), number)]
        seconds = [report["time/training_s"] for report in reports]
        curves.append(Curve([report["val/accuracy"] for report in reports], sum(seconds) / len(seconds)))
    return curves


def _pair(curves: list[Curve], rungs: list[int], budget: int, seed: int) -> tuple[Played, Played]:
    order = random.Random(seed).sample(range(len(curves)), len(curves))
    return _play(curves, order, rungs, budget, _stopping), _play(curves, order, rungs, budget, _promoting)


class State:
    """What is known while a search is played."""

    def __init__(self, rungs: list[int], factor: int):
        self.rungs, self.factor = rungs, factor
        self.arrived: dict[int, dict[int, float]] = {rung: {} for rung in rungs}
        self.promoted: dict[int, set[int]] = {rung: set() for rung in rungs}

    def is_among_best(self, rung: int, student: int) -> bool:
        """By now."""
        scores = self.arrived[rung]
        keep = len(scores) // self.factor
        return sorted(scores.values(), reverse=True)[max(0, keep - 1)] <= scores[student] and (keep > 0)


def _stopping(state: State, rung: int, student: int) -> bool:
    few = len(state.arrived[rung]) < state.factor
    return few or state.is_among_best(rung, student)


def _promoting(state: State, rung: int, student: int) -> bool:
    return False


def _play(
    curves: list[Curve], order: list[int], rungs: list[int], budget: int, goes_on: Callable[[State, int, int], bool]
) -> Played:
    state, waiting, epochs, done = State(rungs, 3), list(reversed(order)), dict.fromkeys(order, 0), list[int]()
    places: list[tuple[float, int, int]] = []
    spent, begun, last = 0, 0, len(curves[0].scores)

    def stop_of(student: int) -> int:
        return next((rung for rung in rungs if rung > epochs[student]), last)

    def take_up(now_s: float, student: int) -> None:
        nonlocal spent
        legs = stop_of(student) - epochs[student]
        spent += legs
        heapq.heappush(places, (now_s + legs * curves[student].epoch_s, student, stop_of(student)))

    def free(now_s: float) -> None:
        nonlocal begun
        if spent >= budget:
            return
        student = _promotable(state) if goes_on is _promoting else None
        if student is None and waiting:
            student, begun = waiting.pop(), begun + 1
        if student is not None:
            take_up(now_s, student)

    for _ in range(PLACES):
        free(0.0)
    while places:
        now_s, student, reached = heapq.heappop(places)
        epochs[student] = reached
        if reached == last:
            done.append(student)
        else:
            state.arrived[reached][student] = curves[student].scores[reached - 1]
            if goes_on(state, reached, student) and spent < budget:
                take_up(now_s, student)
                continue
        free(now_s)
    seen = [curves[student].scores[count - 1] for student, count in epochs.items() if count]
    ends = [curves[student].scores[-1] for student in done]
    return Played(max(ends or seen), begun)


def _promotable(state: State) -> int | None:
    """Who has come to be among the best third of a rung and has not gone on from it, from the highest rung down."""
    for rung in reversed(state.rungs):
        scores = state.arrived[rung]
        best = sorted(scores, key=scores.__getitem__, reverse=True)[: len(scores) // state.factor]
        for student in best:
            if student not in state.promoted[rung]:
                state.promoted[rung].add(student)
                return student
    return None


if __name__ == "__main__":
    main()
