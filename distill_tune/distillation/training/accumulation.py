"""Which batches make a step of the optimizer: `optim.accumulate` of them, whose gradients are averaged.

For steps of more samples than a batch can have, because the student's memory or a teacher that runs beside it ends it
sooner. Without batch statistics, and with a loss that is a mean over samples, n batches of b samples move the weights
as one of n x b does.
"""

from __future__ import annotations

from typing import NamedTuple


class Turn(NamedTuple):
    """Where a batch stands among those of its step."""

    step: int
    """The step's number in the training, from 0 on."""
    share: float
    """Its weight in the step's gradient."""
    begins: bool
    """Whether it is the first of its step."""
    ends: bool
    """Whether it is the last."""


class Accumulation:
    """The steps of a training; an epoch's last takes the batches that are left, so that none waits for the next."""

    def __init__(self, batches_per_epoch: int, accumulate: int):
        self._batches_per_epoch, self._accumulate = batches_per_epoch, accumulate
        self.steps_per_epoch = -(-batches_per_epoch // accumulate)
        """Steps of the optimizer."""

    def turn(self, number: int) -> Turn:
        """That of a batch, by its number in the training, from 0 on."""
        if self._accumulate == 1:
            return Turn(number, 1.0, begins=True, ends=True)
        epoch, batch = divmod(number, self._batches_per_epoch)
        step, place = divmod(batch, self._accumulate)
        size = min(self._accumulate, self._batches_per_epoch - step * self._accumulate)
        return Turn(epoch * self.steps_per_epoch + step, 1 / size, begins=place == 0, ends=place == size - 1)
