"""Anytime curves: what a search has found by each second, and their interquartile mean over several seeds."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _measure import SHORT_CONFIRMATION, Search, parser, run_search, started_search
from _peers import Peer, test_accuracy
from scipy.stats import trim_mean

from distill_tune.config.load import load_space
from distill_tune.config.validate import validate
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.tuning.state.logbook import LOGBOOK, Entry

_STEPS = 20
_CONFIRMATION_SHARE = 1.5
"""A search keeps a third of its time for its confirmation."""
_RESAMPLED = 2000
Curve = list[tuple[float, float, int]]
"""Seconds since process start, validation accuracy, and the student's multiply-adds, per epoch of each trial.

Multiply-adds are those for one sample.
"""


def curve_parser(description: str | None, space: str, seconds: float, epochs: int) -> ArgumentParser:
    """A command line with the options of every benchmark that limits searches by time."""
    made = parser(description, takes_settings=True)
    made.add_argument("--space", default=space)
    made.add_argument("--seconds", type=float, default=seconds)
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--first-seed", type=int, default=0)
    made.add_argument("--epochs", type=int, default=epochs, help="of a full training")
    return made


def make_ready(space: str, storage: Path, assignments: Sequence[str]) -> None:
    """Train the teacher and fill its cache, so that the searches find them."""
    prepare(load_space(Path(space), [*assignments]), storage / ".cache", print)


def searched(space: str, storage: Path, seconds: float, settings: Sequence[str]) -> dict[str, Any]:
    """Search for `seconds`; returns its curve, number of trials, and the test accuracy of the confirmed winner."""
    time = ("--time", f"{_CONFIRMATION_SHARE * seconds:.0f}s", "--trials", "100000")
    search = run_search(space, storage, *time, *SHORT_CONFIRMATION, *settings)
    until_s = next(entry["at_s"] for entry in _entries(search) if entry["entry"] == Entry.SEARCHED)
    return _told(search, until_s) | {"test": search.summary["best"]["test"]["accuracy"]["mean"]}


def interrupted(space: str, storage: Path, seconds: float, settings: Sequence[str]) -> dict[str, Any]:
    """Like `searched`, but interrupted: without `--time`, which may lower `search.max_epochs`, and confirmation.

    The test accuracy is that of the trial that was best on validation, retrained to the same weights.
    """
    started = started_search(space, storage, "--trials", "100000", *settings)
    with started as (process, search), suppress(subprocess.TimeoutExpired):
        printed, _ = process.communicate(timeout=seconds)
        sys.exit(f"{space}: the search ended before its time with status {process.returncode}:\n{printed}")
    return _told(search, search.began_s + seconds) | {"test": _test_accuracy(search, storage)}


def _told(search: Search, until_s: float) -> dict[str, Any]:
    """The curve until `until_s`, and the number of trials started by then."""
    entries = [entry for entry in _entries(search) if entry["at_s"] <= until_s]
    cost = {e["trial"]["trial_id"]: e["trial"]["multiply_adds"] for e in entries if e["entry"] == Entry.STARTED}
    curve = [
        (entry["at_s"] - search.began_s, entry["report"]["val/accuracy"], cost[entry["trial_id"]])
        for entry in entries
        if entry["entry"] == Entry.REPORTED
    ]
    return {"curve": curve, "trials": len(cost)}


def _entries(search: Search) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (search.folder / LOGBOOK).read_text().splitlines()]


def _test_accuracy(search: Search, storage: Path) -> float:
    space = load_space(search.folder / "search.toml", [])
    best = search.summary["best"]
    epochs = next(row["epochs"] for row in search.trials if row["number"] == best["trial"])
    peer = Peer.prepared_for(space, storage)
    config = validate(best["config"])
    torch.set_num_threads(1)
    training = distill(config, Materials.open(peer.prepared, config), config.search.seed)
    student = next(islice(training, epochs - 1, None)).student
    weights = {name: value.clone() for name, value in student.state_dict().items()}
    return test_accuracy(peer, config, weights)


def figures(run: dict[str, Any], seconds: float, target: float) -> dict[str, Any]:
    """What a run reached within `seconds`, and when it first reached the target."""
    in_time = [(at_s, accuracy) for at_s, accuracy, _ in run["curve"] if at_s <= seconds]
    return {
        "epochs": len(in_time),
        "million_multiply_adds": sum(cost for at_s, _, cost in run["curve"] if at_s <= seconds) / 1e6,
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
        best = np.array([max((a for s, a, _ in curve if s <= at_s), default=0.0) for curve in curves])
        means = [middle(generator.choice(best, len(best))) for _ in range(_RESAMPLED)]
        low, high = np.quantile(means, [0.025, 0.975])
        points.append({"at_s": float(at_s), "best": middle(best), "low": float(low), "high": float(high)})
    return points


def middle(values: Any) -> float:
    """Interquartile mean, that of the middle half (Agarwal et al. 2021, https://arxiv.org/abs/2108.13264)."""
    return float(trim_mean(values, 0.25))
