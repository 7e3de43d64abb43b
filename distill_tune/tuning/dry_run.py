"""`--dry-run`: the resolved configuration, what is searched, the resources, and an estimate of time; starts nothing.

The data are loaded and checked, not written. The estimate is from timed steps of the middle student of each family on
random labels of the data's shape; the teacher's training is not in it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
import torch.nn.functional as F
from rich.console import Console

from distill_tune.config import Config, Space, tables_of
from distill_tune.config.ranges import Choice, Range
from distill_tune.config.space import dotted
from distill_tune.data.build import build
from distill_tune.students import build_student
from distill_tune.tuning.plan import NUM_BASELINES
from distill_tune.tuning.wording import duration

_TIMED_STEPS = 20


def dry_run(space: Space, folder: Path) -> int:
    """Print the plan; returns the exit status."""
    console = Console()
    config = space.config
    built = build(config.data)
    samples = len(built.splits["train"]["labels"]) * config.data.passes
    seen = (
        int(built.splits["train"]["labelled"].sum()) * config.data.passes if config.data.rest == "hidden" else samples
    )
    console.print("[bold]Configuration[/bold] (each range at its first value)\n")
    console.print(tomli_w.dumps(tables_of(config)), markup=False, highlight=False)
    console.print("[bold]Searched[/bold]\n")
    for path, found in space.ranges.items():
        console.print(f"  {dotted(path)}: {_in_words(found)}", markup=False, highlight=False)
    places = max(1, (os.cpu_count() or 1) // (config.resources.workers_per_trial * config.resources.cpus_per_worker))
    places = min(places, config.resources.concurrent_trials or places, config.search.trials)
    torch.set_num_threads(config.resources.cpus_per_worker)
    epoch_s = _step_s(space, built) * seen / config.optim.batch_size
    console.print("\n[bold]Plan[/bold]\n")
    for line in _plan(config, places, epoch_s, seen):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"  result folder {folder}; nothing has been started or written", soft_wrap=True, highlight=False)
    return 0


def _plan(config: Config, places: int, epoch_s: float, seen: int) -> list[str]:
    search, confirm = config.search, config.confirm
    epochs = _expected_epochs(config)
    runs = (confirm.top + NUM_BASELINES) * confirm.seeds
    search_s = search.trials * epochs * epoch_s / places
    confirm_s = runs * search.max_epochs * epoch_s / places
    budget = f"{search.trials} trials" + (f", at most {search.time}" if search.time else "")
    workers = config.resources.workers_per_trial
    return [
        f"{budget}; {places} at a time on this machine's {os.cpu_count()} cores, {workers} worker(s) each",
        f"an epoch is {seen:,} samples, about {epoch_s:.2g} s for the middle student",
        f"search about {duration(search_s)} at {epochs:.1f} epochs a trial, then {runs} confirmation runs of "
        f"{search.max_epochs} epochs, about {duration(confirm_s)}; preparing data and teacher comes before",
    ]


def _expected_epochs(config: Config) -> float:
    """Epochs a trial if one in reduction_factor passes each rung."""
    search = config.search
    if search.scheduler == "none":
        return float(search.max_epochs)
    expected, share, epochs = float(search.min_epochs), 1.0, search.min_epochs
    while epochs < search.max_epochs:
        following = min(search.max_epochs, epochs * search.reduction_factor)
        share /= search.reduction_factor
        expected += share * (following - epochs)
        epochs = following
    return expected


def _step_s(space: Space, built: Any) -> float:
    """Mean seconds of a training step over the families, each at the middle of its ranges."""
    found = space.ranges.get(("student", "family"))
    families = found.corners() if isinstance(found, Choice) else (space.config.student.family,)
    return float(np.mean([_time_step(_middle(space, family), built) for family in families]))


def _middle(space: Space, family: str) -> Config:
    own = {path: found for path, found in space.ranges.items() if path[:2] == ("student", family)}
    values: dict[str, Any] = {"student.family": family}
    for path, found in own.items():
        corners = found.corners()
        middle = corners[len(corners) // 2] if isinstance(found, Choice) else (found.low + found.high) / 2
        values[dotted(path)] = int(middle) if not isinstance(found, Choice) and found.integer else middle
    return space.at(values)


def _time_step(config: Config, built: Any) -> float:
    size = min(config.optim.batch_size, len(built.splits["train"]["labels"]))
    inputs = torch.from_numpy(np.ascontiguousarray(built.splits["train"]["inputs"][:size]))
    labels = torch.from_numpy(built.splits["train"]["labels"][:size])
    student = build_student(
        config.student.chosen("family"), built.input_shape, len(built.classes), built.mean, built.std
    )
    optimizer = config.optim.chosen("kind").build(student, 1e-4, 0.0)
    for step in range(_TIMED_STEPS + 2):
        if step == 2:
            start = time.perf_counter()
        loss = F.cross_entropy(student(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - start) / _TIMED_STEPS


def _in_words(found: Range) -> str:
    if isinstance(found, Choice):
        return "one of " + ", ".join(map(str, found.values))
    kind = "integers" if found.integer else "numbers"
    return f"{kind} from {found.low:g} to {found.high:g}" + (", by their logarithm" if found.log else "")
