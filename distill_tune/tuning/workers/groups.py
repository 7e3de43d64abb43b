"""The kinds of worker groups, and which one a configuration needs."""

from __future__ import annotations

from pathlib import Path

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.workers.files import Files
from distill_tune.tuning.workers.worker_group import InProcessGroup, WorkerGroup

WORKERS = "workers"
"""Subfolder of a search's folder for Ray Train's state; removed at the end."""


def make_group(resources: ResourcesConfig, folder: Path, name: str, retries: int, files: Files) -> WorkerGroup:
    """The group for this number of workers; not yet started.

    `retries` is how often an epoch is assigned again after several workers have died in it; a single worker is
    restarted by its owner.
    """
    if resources.workers_per_trial == 1:
        return InProcessGroup(resources)
    from distill_tune.tuning.workers.ray_train_group import RayTrainGroup

    return RayTrainGroup(resources, folder / WORKERS, name, retries, files)
