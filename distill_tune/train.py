"""`python -m distill_tune.train RUN`: train the student of a configuration without ranges; needs no Ray."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.cli import Parser, guarded, leave, storage_at
from distill_tune.config import Config, Space, load_space
from distill_tune.config.messages import dotted
from distill_tune.errors import ConfigError, TrainingError
from distill_tune.paths import expanded
from distill_tune.streams import tell

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.data import Dataset
    from distill_tune.distillation.preparation.prepare import Preparation


TRAIN_JSON = "train.json"
_NUM_LINES = 5
"""How many progress lines a training prints."""


def parser() -> Parser:
    """The command-line parser."""
    made = Parser(prog="python -m distill_tune.train", description=__doc__)
    made.add_argument(
        "run", metavar="RUN", help="a configuration without ranges, such as best/run.toml of a result folder"
    )
    made.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="number of trainings, with seeds from search.seed upward (default: 1)",
    )
    made.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="set any key; repeatable"
    )
    made.add_argument("--name", help="name of the result folder (default: RUN-DATE-TIME)")
    made.add_argument(
        "--storage", default="results", metavar="FOLDER", help="as of distill_tune.search (default: ./results)"
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = parser().parse_args(arguments)
    return guarded(lambda: _train(given))


def _train(given: argparse.Namespace) -> int:
    path = expanded(given.run)
    space = load_space(path, given.settings)
    if space.ranges:
        first = dotted(next(iter(space.ranges)))
        raise ConfigError(
            f"{path}: {first} is a range, but a run has values only; use --set {first}=VALUE, or search it."
        )
    if given.seeds < 1:
        raise ConfigError(f"--seeds {given.seeds}: must be 1 or more.")

    from distill_tune.export.claimed_folder import own_folder

    storage, mirror = storage_at(given.storage, TRAIN_JSON)
    with own_folder(storage, given.name, path) as folder:
        if mirror is None:
            return _run(space, folder, given.seeds)
        mirror.store.check_free(folder.name)
        mirror.store.check_writable()
        with mirror.kept(folder, _say):
            status = _run(space, folder, given.seeds)
        mirror.check_copied(folder)
        return status


def _run(space: Space, folder: Path, num_seeds: int) -> int:
    from distill_tune.distillation.preparation.prepare import announced_data, prepare
    from distill_tune.export.cache_use import nothing_left_on_refusal
    from distill_tune.export.result_folder import SHARED_CACHE, write_json
    from distill_tune.users_faults import users_faults_refused

    with ExitStack() as training:
        with nothing_left_on_refusal(folder.parent, training), users_faults_refused():
            cache = folder.parent / SHARED_CACHE
            dataset = announced_data(space.config, cache, _say)
            _check_limits(space.config, dataset)
            _notice_workers(space.config)
            first = space.config.search.seed
            runs = {seed: space.with_fixed("search", "seed", seed) for seed in range(first, first + num_seeds)}
            preparation = prepare(space, cache, _say, dataset)
        reports: dict[int, dict[str, Any]] = {}
        for seed, run in runs.items():
            try:
                reports[seed] = _train_seed(run, preparation, folder)
            except TrainingError as error:
                raise TrainingError(f"seed {seed}: {error}") from error
            told = {"name": folder.name, "seeds": {str(s): r for s, r in reports.items()}}
            write_json(folder / TRAIN_JSON, told)  # after each seed, in case the next one fails
    mean = sum(report["val/accuracy"] for report in reports.values()) / num_seeds
    _say(f"val/accuracy {mean:.4f}, mean of {num_seeds} seed(s); students in {folder}")
    return 0


def _notice_workers(config: Config) -> None:
    if (workers := config.resources.workers_per_trial) > 1:
        _say(
            f"a training is one process: without the {workers} workers of resources.workers_per_trial its weights are "
            "not those of a search"
        )


def _check_limits(config: Config, dataset: Dataset) -> None:
    """Refuse a student that is too large; latency is not checked, since this may not be the search's machine."""
    from distill_tune.tuning.planning.limits import Limits

    limits = Limits(config.limits.model_copy(update={"max_latency_ms": None}), dataset)
    if (excess := limits.excess(config)).why:  # without any limit, the network is still built
        raise ConfigError(f"limits: the student is {excess.why}; set a higher limit, or choose a smaller student.")


def _train_seed(space: Space, preparation: Preparation, folder: Path) -> dict[str, Any]:
    """Train and save a student; returns its entry of `train.json`."""
    from distill_tune.export.model_card import training_card
    from distill_tune.export.student_folder import OF_SEED, write_student_folder

    began_s, seed = time.monotonic(), space.config.search.seed
    student, report = _trained(space.config, preparation, seed)
    card = training_card(folder.name, seed, report["val/accuracy"])
    place = folder / f"{OF_SEED}{seed}"
    left_out = write_student_folder(place, space.config, preparation.dataset, student.state_dict(), card)
    for file, why in left_out.items():
        _say(f"{place.name}/{file} is left out: {why}")
    numbers = {name: value for name, value in report.items() if not name.startswith("time/")}
    return {**numbers, "seconds": time.monotonic() - began_s}


def _trained(config: Config, preparation: Preparation, seed: int) -> tuple[nn.Module, dict[str, float]]:
    """The student after its last epoch, and that epoch's report."""
    from distill_tune.distillation.devices import device_for
    from distill_tune.distillation.training.folds import train_students
    from distill_tune.threads import threads

    with threads(config.resources.cpus_per_worker):  # as in a trial, to reproduce its weights
        for epoch in train_students(config, preparation.prepared, seed, device_for(config), refit=True):
            report = epoch.report
            number, last = int(report["epoch"]), config.search.max_epochs
            if number == last or number % max(1, last // _NUM_LINES) == 0:
                loss, accuracy = report["train/loss"], report["val/accuracy"]
                _say(f"seed {seed} epoch {number} of {last}: loss {loss:.4f}, val/accuracy {accuracy:.4f}")
    return epoch.students.student, report


def _say(line: str) -> None:
    tell(line, sys.stdout)


if __name__ == "__main__":
    leave(main())
