"""Trials for TensorBoard to show, and how TensorBoard's own readers see them."""

import random
from pathlib import Path
from typing import Any

from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

from distill_tune.config.space import Space
from distill_tune.tuning.state.records import Status, TrialRecord

TABLES: dict[str, Any] = {
    "data": {"source": "digits"},
    "student": {
        "family": ["mlp", "convnet"],
        "mlp": {"widths": {"choice": [[20, 20, 20], [64]]}},
        "convnet": {"width": {"choice": [4, 8, 16]}, "depth": {"int": [2, 4]}},
    },
    "loss": {"kind": ["soft_targets", "labels"], "temperature": {"log": [1.0, 20.0]}},
    "optim": {"learning_rate": {"log": [1e-4, 1e-1]}, "batch_size": {"choice": [32, 64]}},
    "augmentation": {"mixup": {"uniform": [0.0, 1.0]}},
}
ALL_STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


class Dice:
    """Acts as an Optuna trial: samples with a seed."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._random.choice(choices)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return self._random.randint(low, high)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._random.uniform(low, high)


def trial(space: Space, number: int, **others: Any) -> TrialRecord:
    values = space.suggest(Dice(number))
    return TrialRecord(number, f"{number:04d}", values, parameters=1000 + number, multiply_adds=5000, **others)


def report(epoch: int, accuracy: float, **others: float) -> dict[str, float]:
    return {"epoch": epoch, "val/accuracy": accuracy, "train/loss": 2 - accuracy, "time/training_s": 0.1, **others}


ENDS = [Status.COMPLETED] * 3 + [Status.STOPPED] * 4 + [Status.FAILED] * 2 + [Status.INTERRUPTED] * 2
"""How trials 0 to 10 end; trial 11 keeps running, and trial 12 is infeasible."""


def hparams_backend(folder: Path) -> tuple[Any, Any]:
    """TensorBoard's own answers for the HParams page: the experiment and the session groups."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    asked = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[getattr(api_pb2, name) for name in ALL_STATUSES], slice_size=1000
    )
    ctx = context.RequestContext()
    groups = list_session_groups.Handler(ctx, backend, "search", asked).run()
    about = get_experiment.Handler(ctx, backend, "search", api_pb2.GetExperimentRequest()).run()
    return about, {group.name: group for group in groups.session_groups}


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    return accumulator.Reload()


def series(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 5)) for event in read(folder).Scalars(tag)]


def words(folder: Path, tag: str) -> str:
    return read(folder).Tensors(tag)[-1].tensor_proto.string_val[0].decode()
