"""The loop: one student's training as a generator that yields a report per epoch.

The caller decides how far it runs: `train.py` exhausts it, a trial pulls one report at a time, and stopping a trial
means closing the generator. It runs equally in a notebook, under torchrun or inside a Ray Train worker.
"""

from __future__ import annotations

from collections.abc import Generator

import torch

from distill_tune.config import Config
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.run import Checkpoint, Epoch, Run


def distill(
    config: Config,
    materials: Materials,
    seed: int,
    device: torch.device | str = "cpu",
    resume: Checkpoint | None = None,
) -> Generator[Epoch, None, None]:
    """Train one student to `search.max_epochs`, yielding after each epoch; seeds torch's global generators.

    Raises:
        TrainingError: the loss is not finite; raised on every rank, in the epoch in which it happens.
    """
    run = Run(config, materials, seed, torch.device(device))
    try:
        if resume is not None:
            run.restore(resume)
        while run.epoch < config.search.max_epochs:
            yield run.next_epoch()
    finally:
        run.close()
