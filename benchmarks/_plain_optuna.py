"""A peer of `search_race.py`: Optuna as its documentation shows it, a for-loop as the objective, several processes.

TPE and successive halving, one study in a journal file that all processes open, one thread each. It uses the same
search space, prepared data, teacher's logits and student families as ours, the loop of `_bare_loop.py`, and the space's
learning-rate schedule from `torch.optim.lr_scheduler`. Prints one line of JSON.
https://optuna.readthedocs.io/en/stable/tutorial/10_key_features/004_distributed.html
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import torch
from _bare_loop import Bare, accuracy
from _peers import NAME, Peer, outcome, peer_parser, test_accuracy
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from distill_tune.config import Config
from distill_tune.distillation.materials.materials import Materials


def main() -> None:
    """Prepare as our search does, then search the way that Optuna's documentation shows."""
    given = peer_parser(__doc__).parse_args()
    began_s = time.time()
    peer = Peer.of(given)
    with tempfile.TemporaryDirectory() as folder:
        create(folder, peer)
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=work, args=(given, folder, i, began_s)) for i in range(given.at_a_time)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        study = create(folder, peer)
        curve = sorted(tuple(point) for trial in study.trials for point in trial.user_attrs.get("curve", []))
        best = study.best_trial
        weights = torch.load(Path(folder) / f"{best.number}.pt")
        config = peer.space.at(best.user_attrs["values"])
        print(json.dumps(outcome(curve, len(study.trials), test_accuracy(peer, config, weights))))


def create(folder: str, peer: Peer) -> optuna.Study:
    """Create or open the study."""
    run = peer.space.config.search
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(f"{folder}/journal")),
        study_name=NAME,
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=run.seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(run.min_epochs, run.reduction_factor),
    )


def work(given: argparse.Namespace, folder: str, number: int, began_s: float) -> None:
    """Run trials in one process until the time is over."""
    torch.set_num_threads(1)
    peer = Peer.of(given)
    study = create(folder, peer)
    for _ in range(number):
        study.sampler.reseed_rng()  # otherwise all processes would start with the same trials
    left_s = given.seconds - (time.time() - began_s)
    study.optimize(lambda trial: objective(trial, peer, Path(folder), began_s), timeout=left_s)


def objective(trial: optuna.Trial, peer: Peer, folder: Path, began_s: float) -> float:
    """Train one student; returns its last validation accuracy."""
    values = peer.space.suggest(trial)
    trial.set_user_attr("values", values)
    config = peer.space.at(values)
    if peer.is_too_large(config):
        raise optuna.TrialPruned
    materials = Materials.open(peer.prepared, config)
    bare = Bare(config, materials)
    schedule = scheduler(config, bare)
    curve: list[tuple[float, float, int]] = []
    cost = peer.multiply_adds(config)
    reached = 0.0
    for epoch in range(1, config.search.max_epochs + 1):
        bare.epoch(schedule.step)
        reached = accuracy(bare.student, materials.validation_inputs, materials.validation_labels)
        curve.append((time.time() - began_s, reached, cost))
        trial.set_user_attr("curve", curve)
        trial.report(reached, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    torch.save(bare.student.state_dict(), folder / f"{trial.number}.pt")
    return reached


def scheduler(config: Config, bare: Bare) -> Any:
    """PyTorch's scheduler for the configured learning-rate schedule."""
    total = config.search.max_epochs * bare.steps
    if config.optim.schedule == "one_cycle":
        return torch.optim.lr_scheduler.OneCycleLR(bare.optimizer, config.optim.learning_rate, total)
    if config.optim.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(bare.optimizer, total)
    return torch.optim.lr_scheduler.ConstantLR(bare.optimizer, 1.0)


if __name__ == "__main__":
    main()
