"""Gradient accumulation: each optimizer step averages the gradients of `optim.accumulate` batches.

For steps over more samples than fit into one batch, because the student or a live teacher needs too much memory.
Without batch statistics, and with a loss that is a mean over samples, n batches of b samples move the weights as one
batch of n x b does.
"""

from __future__ import annotations

from typing import NamedTuple


class Turn(NamedTuple):
    """A batch's position among those of its step."""

    step: int
    """The step's number in the training, from 0."""
    share: float
    """The batch's weight in the step's gradient."""
    begins: bool
    """Whether it is the first batch of its step."""
    ends: bool
    """Whether it is the last batch of its step."""


class Accumulation:
    """The steps of a training; an epoch's last step takes the remaining batches, so none spans two epochs."""

    def __init__(self, batches_per_epoch: int, accumulate: int):
        self._batches_per_epoch, self._accumulate = batches_per_epoch, accumulate
        self.steps_per_epoch = -(-batches_per_epoch // accumulate)
        """Optimizer steps per epoch."""

    def turn(self, number: int) -> Turn:
        """The turn of a batch, given its number in the training, from 0."""
        if self._accumulate == 1:
            return Turn(number, 1.0, begins=True, ends=True)
        epoch, batch = divmod(number, self._batches_per_epoch)
        step, place = divmod(batch, self._accumulate)
        size = min(self._accumulate, self._batches_per_epoch - step * self._accumulate)
        return Turn(epoch * self.steps_per_epoch + step, 1 / size, begins=place == 0, ends=place == size - 1)
