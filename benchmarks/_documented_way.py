"""A peer of `trial_cost.py` and `search_race.py`: Ray Train nested in Ray Tune as documented.

A TorchTrainer is started inside every trial.

https://docs.ray.io/en/latest/train/user-guides/hyperparameter-optimization.html

It uses the same search space, prepared data, teacher's cache and training loop as ours, with Ray's own OptunaSearch and
ASHAScheduler. Prints one line of JSON. Needs ray[default]: with ray[tune,train] alone, stopped trials keep their
placement groups and it hangs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from statistics import median
from typing import Any

import ray
import ray.train.torch
import torch
from _peers import Peer, outcome, peer_parser, test_accuracy
from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from distill_tune.config import Config, Space
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice, Range
from distill_tune.data import open_dataset
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.tuning.planning.limits import Limits

_NUM_CPUS = 8
"""Number of CPUs for Ray: workers of stopped trials train on for a while, and must not delay new ones."""


class Stopwatch(tune.Callback):
    """First step, training time and end of each trial, as seen by the driver."""

    def __init__(self) -> None:
        self.made_s = time.time()
        self.epochs: list[tuple[float, float, dict[str, Any]]] = []
        """Per epoch: seconds since creation, validation accuracy, and the trial's configuration."""
        self.began_s: dict[str, float] = {}
        self.ended_s: dict[str, float] = {}
        self.first_step_s: dict[str, float] = {}
        self.training_s: dict[tuple[str, int], float] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note when Tune starts a trial."""
        self.began_s[trial.trial_id] = time.time()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Record an epoch; Tune reports a trial's last one twice."""
        if (trial.trial_id, result["epoch"]) not in self.training_s:
            self.epochs.append((time.time() - self.made_s, result["val/accuracy"], trial.config))
        self.training_s[trial.trial_id, result["epoch"]] = result["time/training_s"]
        self.first_step_s.setdefault(trial.trial_id, result["time/began_s"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note when a trial completes or is stopped."""
        self.ended_s[trial.trial_id] = time.time()

    def cost(self, concurrency: int) -> dict[str, float]:
        """The figures that `trial_cost.py` computes for our search, by the same formulas; empty before a trial ends."""
        if not self.ended_s:
            return {}
        trained_s = sum(self.training_s.values())
        places_s = concurrency * (max(self.ended_s.values()) - min(self.first_step_s.values()))
        return {
            "cost_s": (places_s - trained_s) / len(self.ended_s),
            "within_s": median(self._outside_s(trial) for trial in self.ended_s),
            "trials": len(self.ended_s),
            "concurrency": concurrency,
            "training_share": trained_s / places_s,
        }

    def _outside_s(self, trial: str) -> float:
        trained_s = sum(seconds for (of, _), seconds in self.training_s.items() if of == trial)
        return self.ended_s[trial] - self.began_s[trial] - trained_s


def train(config: dict[str, Any], space: Space, prepared: Prepared, weights: str) -> None:
    """The training function of every worker: our loop, with Ray Train's process group around it."""
    from distill_tune.distillation.materials.materials import Materials
    from distill_tune.distillation.training.loop import distill

    torch.set_num_threads(1)
    run = _run(space, config)
    for epoch in distill(run, Materials.open(prepared, run), run.search.seed):
        torch.save(epoch.student.state_dict(), weights)
        ray.train.report(epoch.report)


def trial(config: dict[str, Any], space: Space, prepared: Prepared, workers: int, storage: str) -> None:
    """The function that Tune runs for each trial; a student over the limits ends at once."""
    if Limits(space.config.limits, open_dataset(prepared.data_folder)).excess(_run(space, config)).share > 0:
        tune.report({"val/accuracy": 0.0, "epoch": 1, "time/training_s": 0.0, "time/began_s": time.time()})
        return
    name = tune.get_context().get_trial_id()
    ray.train.torch.TorchTrainer(
        partial(train, space=space, prepared=prepared, weights=f"{storage}/{name}.pt"),
        train_loop_config=config,
        scaling_config=ray.train.ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 1}),
        run_config=ray.train.RunConfig(name=name, storage_path=storage, callbacks=[TuneReportCallback()]),  # type: ignore[list-item]
    ).fit()


def search(peer: Peer, given: argparse.Namespace, storage: str) -> dict[str, Any]:
    """Run the trials; returns their cost and what they reached."""
    space, stopwatch = peer.space, Stopwatch()
    run = space.config.search
    fixed = {"space": space, "prepared": peer.prepared, "workers": given.workers, "storage": f"{storage}/train"}
    found = tune.Tuner(
        tune.with_resources(partial(trial, **fixed), {"CPU": 0.1}),
        param_space={dotted(path): _domain(found) for path, found in space.ranges.items()},
        tune_config=tune.TuneConfig(
            metric="val/accuracy",
            mode="max",
            search_alg=OptunaSearch(seed=run.seed),
            scheduler=ASHAScheduler(
                time_attr="epoch",
                max_t=run.max_epochs,
                grace_period=run.min_epochs,
                reduction_factor=run.reduction_factor,
            ),
            num_samples=-1 if given.seconds else given.trials,
            time_budget_s=given.seconds,
            max_concurrent_trials=given.at_a_time,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=storage, verbose=0, callbacks=[stopwatch]),
    ).fit()
    best = found.get_best_result("val/accuracy", "max", scope="last")
    assert best.config
    assert best.metrics
    weights = torch.load(f"{storage}/train/{best.metrics['trial_id']}.pt")
    curve = [(s, accuracy, peer.multiply_adds(_run(peer.space, config))) for s, accuracy, config in stopwatch.epochs]
    reached = outcome(curve, len(found), test_accuracy(peer, _run(space, best.config), weights))
    return stopwatch.cost(given.at_a_time) | reached


def _domain(found: Range) -> Any:
    """A range as a Tune domain; a choice is sampled by index, since Optuna cannot hold lists."""
    if isinstance(found, Choice):
        return tune.choice(list(range(len(found.values))))
    if found.integer:
        low, high = int(found.low), int(found.high) + 1
        return tune.lograndint(low, high) if found.log else tune.randint(low, high)
    return tune.loguniform(found.low, found.high) if found.log else tune.uniform(found.low, found.high)


def _run(space: Space, config: dict[str, Any]) -> Config:
    return space.at({name: _value(space, name, sampled) for name, sampled in config.items()})


def _value(space: Space, name: str, sampled: Any) -> Any:
    found = next(found for path, found in space.ranges.items() if dotted(path) == name)
    return found.values[sampled] if isinstance(found, Choice) else sampled


def main() -> None:
    """Prepare as our search does, then search the documented way."""
    made = peer_parser(__doc__)
    made.add_argument("--trials", type=int, default=6, help="where no --seconds are given")
    made.add_argument("--workers", type=int, default=1)
    given = made.parse_args()
    peer = Peer.of(given)
    ray.init(num_cpus=_NUM_CPUS, log_to_driver=False)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as storage:
        found = search(peer, given, storage)
    ray.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
