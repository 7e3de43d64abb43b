"""The places of a cluster do a teacher's expensive work before they are needed for trials.

They share its forward passes over the views: the driver makes the views and keeps the logits, and each portion goes to
a free place. A place that fails, because its process or node died or because it cannot load or run the teacher, gets no
more portions, and what it has not answered is run here. If the driver has no GPU, one of the cluster's trains the
teacher first (`teacher_there.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import torch
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.config.searching import ResourcesConfig
from distill_tune.data import Dataset
from distill_tune.distillation.cache.labelling import Runner, at_a_time, labelled
from distill_tune.distillation.cache.seen import as_tensor
from distill_tune.distillation.devices import is_missing
from distill_tune.distillation.preparation.teacher_training import Recipe
from distill_tune.distillation.preparation.teacher_work import TeacherWork
from distill_tune.errors import last_line, one_line
from distill_tune.evaluation.mode import put_in_evaluation
from distill_tune.evaluation.portions import device_of
from distill_tune.teachers import Say, Trained
from distill_tune.tuning.workers.teacher_there import train_there

_WORTH_S = 20.0
"""Seconds that each process must save: loading a teacher takes some, and it should save more than it costs."""
_AHEAD = 2
"""Portions queued at each place, so that it need not wait for the driver."""


class TeachersPlace:
    """A process that runs the teacher."""

    def __init__(self, module: nn.Module, device: str, cpus: int):
        torch.set_num_threads(cpus)
        self._module = put_in_evaluation(module.to(device))

    def ready(self) -> None:
        """Return when the teacher is loaded."""

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """Logits of one portion, float32 [portion, classes]."""
        return np.asarray(labelled(self._module, as_tensor(inputs)).numpy())


@dataclass(frozen=True)
class TeacherPlaces(TeacherWork):
    """A teacher's work on a cluster: `prepare(..., work=TeacherPlaces(...))`."""

    count: int
    """Number of places in the cluster."""
    resources: ResourcesConfig
    """Resources of each place."""
    say: Say

    def train(self, recipe: Recipe, config: Config, dataset: Dataset, say: Say) -> Trained:
        """Train on a GPU of the cluster if trials have GPUs and the driver has none; else here."""
        if is_missing(config):
            return train_there(recipe, config, dataset, say)
        return super().train(recipe, config, dataset, say)

    @contextmanager
    def runner(self, module: nn.Module, left_s: float) -> Iterator[Runner]:
        """Yield a runner on as many places as are worth it, for a teacher that would take `left_s` here."""
        count = min(self.count, int(left_s / _WORTH_S))
        shared = self._shared(module) if count > 0 else None
        if shared is None:
            yield Runner()
            return
        self.say(f"{count} place{'s' * (count > 1)} of the cluster label, which here would take {left_s / 60:.1f} min")
        made: Any = ray.remote(TeachersPlace).options(
            num_cpus=self.resources.cpus_per_worker, num_gpus=self.resources.gpus_per_worker
        )
        places = [made.remote(shared, self.resources.device, self.resources.cpus_per_worker) for _ in range(count)]
        try:
            yield PlacesRunner(places, self.resources.device, self.say)
        finally:
            for place in places:
                ray.kill(place)

    def _shared(self, module: nn.Module) -> Any:
        """The teacher in the object store, on the CPU, as processes may lack its GPU; None if it cannot be stored."""
        where = device_of(module)
        try:
            return ray.put(module.cpu())
        except Exception as error:  # a custom module may hold a lock or a session; Ray's own message is a page long
            why = one_line(error.__cause__ or error)
            self.say(f"the places of the cluster cannot be given the teacher ({why}), so that it labels here")
            return None
        finally:
            module.to(where)


class PlacesRunner(Runner):
    """Sends each portion to the least busy place that is up; runs it here if there is none."""

    def __init__(self, places: Sequence[Any], device: str, say: Say):
        self._coming, self._device, self._say = {place.ready.remote(): place for place in places}, device, say
        self._in_hand: dict[Any, int] = {}
        """Number of pending portions of each place that is up."""

    def at_a_time(self, module: nn.Module, sample_shape: Sequence[int]) -> int:
        """The portion size that suits a place."""
        return at_a_time(module, sample_shape, self._device)

    def device(self, module: nn.Module) -> torch.device:
        """The CPU, from which portions are sent."""
        return torch.device("cpu")

    def run(self, module: nn.Module, portions: Iterable[Tensor]) -> Iterator[Tensor]:
        """See `Runner.run`."""
        waiting: deque[tuple[Tensor, Any, Any]] = deque()
        for portion in portions:
            self._look_who_is_up()
            if not self._in_hand:
                yield from self._answers(module, waiting, 0)
                yield labelled(module, portion)
                continue
            place = min(self._in_hand, key=self._in_hand.__getitem__)
            self._in_hand[place] += 1
            waiting.append((portion, place, place.logits.remote(portion.numpy())))
            yield from self._answers(module, waiting, _AHEAD * len(self._in_hand))
        yield from self._answers(module, waiting, 0)

    def _look_who_is_up(self) -> None:
        up, _ = ray.wait(list(self._coming), num_returns=len(self._coming), timeout=0) if self._coming else ([], [])
        for answer in up:
            place = self._coming.pop(answer)
            try:
                ray.get(answer)
            except ray.exceptions.RayError as error:
                self._lost(error)
            else:
                self._in_hand[place] = 0

    def _answers(self, module: nn.Module, waiting: deque[tuple[Tensor, Any, Any]], most: int) -> Iterator[Tensor]:
        """Yield the logits of the oldest portions, until no more than `most` are waiting."""
        while len(waiting) > most:
            portion, place, reference = waiting.popleft()
            try:
                logits = as_tensor(ray.get(reference))
            except ray.exceptions.RayError as error:
                logits = labelled(module, portion)  # first: if the teacher itself raised, its message here is plain
                if self._in_hand.pop(place, None) is not None:
                    self._lost(error)
            if place in self._in_hand:
                self._in_hand[place] -= 1
            yield logits

    def _lost(self, error: Exception) -> None:
        left = len(self._in_hand) + len(self._coming)
        self._say(
            f"a place that labelled is lost ({last_line(error)}); {left} are left, and what is missing is labelled here"
        )
