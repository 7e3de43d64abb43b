"""Train a teacher in another process of the cluster, e.g. one with a GPU if the driver has none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, cast

import ray

from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.preparation.teacher_training import Recipe, train_teacher
from distill_tune.errors import DistillTuneError, last_line
from distill_tune.teachers import Say, Trained
from distill_tune.tuning.cluster.disk import answer_of
from distill_tune.tuning.workers.files import Files
from distill_tune.tuning.workers.files_on_nodes import files_of


def train_there(recipe: Recipe, config: Config, dataset: Dataset, say: Say) -> Trained:
    """Like `train_teacher`, on the cluster, with whole GPUs even if trials get fractions of one.

    Raises:
        DistillTuneError: whatever `train_teacher` raises; or its process or node has died.
    """
    cpus, gpus = config.resources.cpus_per_worker, math.ceil(config.resources.gpus_per_worker)
    say(f"the teacher is trained on the cluster, with {gpus} GPU{'s' * (gpus != 1)}")
    # Ray ends the process of a GPU task, which would hold GPU memory, only if it knows of the GPU before `options`.
    once: Any = ray.remote(max_calls=1)(_train)
    train = once.options(num_cpus=cpus, num_gpus=gpus, num_returns="streaming", max_retries=0)
    with files_of(dataset.folder.parent, go_on="begin again") as files:
        try:
            for reference in train.remote(files, recipe, config, dataset):
                told = answer_of(reference)
                if isinstance(told, str):
                    say(told)
        except ray.exceptions.RayError as error:
            raise DistillTuneError(f"the teacher's training was lost ({last_line(error)}); begin again.") from error
    return cast("Trained", told)


def _train(files: Files, recipe: Recipe, config: Config, dataset: Dataset) -> Iterator[str | Trained]:
    """Yield the messages of the training, and finally the teacher."""
    here = replace(dataset, folder=files.brought(Prepared(dataset.folder, None)).data_folder)
    said = SimpleQueue[str | None]()

    def train() -> Trained:
        try:
            return train_teacher(recipe, config, here, said.put)
        finally:
            said.put(None)

    with ThreadPoolExecutor(1) as thread:
        training = thread.submit(train)
        while (line := said.get()) is not None:
            yield line
        yield training.result()
