"""Anytime curves: what a search has found by each second, and their middle over several seeds."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _measure import SHORT_CONFIRMATION, parser, run_search

from distill_tune.config.load import load_space
from distill_tune.distillation.prepare import prepare

_STEPS = 20
_CONFIRMATION_SHARE = 1.5
"""A search keeps a third of its time for its confirmation."""
_RESAMPLED = 2000
Curve = list[tuple[float, float]]
"""Of each epoch of each trial: seconds since the process was started, and validation accuracy."""


def curve_parser(description: str | None, space: str, seconds: float, epochs: int) -> ArgumentParser:
    """A command line with what every benchmark of searches in so many seconds has."""
    made = parser(description)
    made.add_argument("--space", default=space)
    made.add_argument("--seconds", type=float, default=seconds)
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--epochs", type=int, default=epochs, help="of a full training")
    made.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help="for all")
    return made


def make_ready(space: str, storage: Path, assignments: Sequence[str]) -> None:
    """Train the teacher and fill its cache, so that the searches find them."""
    prepare(load_space(Path(space), assignments), storage / ".cache", print)


def searched(space: str, storage: Path, seconds: float, settings: Sequence[str]) -> dict[str, Any]:
    """Search for so many seconds; its curve, number of trials, and the test accuracy of the confirmed winner."""
    time = ("--time", f"{_CONFIRMATION_SHARE * seconds:.0f}s", "--trials", "100000")
    search = run_search(space, storage, *time, *SHORT_CONFIRMATION, *settings)
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


def figures(run: dict[str, Any], seconds: float, target: float) -> dict[str, Any]:
    """What a run has come to within the seconds, and when it reached the target first."""
    in_time = [(at_s, accuracy) for at_s, accuracy in run["curve"] if at_s <= seconds]
    return {
        "epochs": len(in_time),
        "trials": run["trials"],
        "validation": max((accuracy for _, accuracy in in_time), default=0.0),
        "test": run["test"],
        "target_s": min((at_s for at_s, accuracy in in_time if accuracy >= target), default=None),
    }


def anytime(curves: Sequence[Curve], seconds: float) -> list[dict[str, float]]:
    """The best so far at each twentieth of the time: interquartile mean over seeds, and its 95 % interval."""
    generator = np.random.default_rng(0)
    points = []
    for at_s in np.linspace(0, seconds, _STEPS + 1)[1:]:
        best = np.array([max((a for s, a in curve if s <= at_s), default=0.0) for curve in curves])
        means = [middle(generator.choice(best, len(best))) for _ in range(_RESAMPLED)]
        low, high = np.quantile(means, [0.025, 0.975])
        points.append({"at_s": float(at_s), "best": middle(best), "low": float(low), "high": float(high)})
    return points


def middle(values: Any) -> float:
    """Interquartile mean (Agarwal et al. 2021, https://arxiv.org/abs/2108.13264): of the middle half."""
    ordered, cut = np.sort(values), len(values) // 4
    return float(ordered[cut : len(ordered) - cut].mean())
