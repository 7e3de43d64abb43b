"""Rows of a student's weights that stand still for a while, a function of the training's progress alone.

Nothing is remembered between steps, so a training that is resumed holds what the undisturbed one holds. The optimizer
steps as ever, with its moments and its weight decay, and what stands still is put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType

import torch
from torch import Tensor, nn

NOTHING: Mapping[str, int] = MappingProxyType({})
_FREE = nullcontext()
"""For a student that holds nothing, as most do: a step of a small one is too short for more."""


class Hold:
    """Frees the first rows of each parameter one after the other."""

    def __init__(self, module: nn.Module, rows: Mapping[str, int] = NOTHING, free_by: float = 1.0):
        """Hold rows of `module`.

        Args:
            module: the student.
            rows: name of a parameter to how many of its first rows wait for their turn, the first to be freed first.
            free_by: share of the training, in (0, 1], by which all are free.
        """
        parameters = dict(module.named_parameters(remove_duplicate=False))  # one module may have two names
        self._rows = [(parameters[name], count) for name, count in rows.items()]
        self._free_by = free_by

    @property
    def is_free(self) -> bool:
        """Whether nothing is ever held."""
        return not self._rows

    def held(self, progress: float) -> list[Tensor]:
        """The rows that stand still at `progress`, in [0, 1): views of the parameters."""
        share = progress / self._free_by
        return [p[free:n] for p, n in self._rows if (free := 1 + int(share * n)) < n]

    def at(self, progress: float) -> AbstractContextManager[None]:
        """Let the block change the student, and put back what stands still at `progress`."""
        return self._holding(progress) if self._rows else _FREE

    @contextmanager
    def _holding(self, progress: float) -> Iterator[None]:
        with torch.no_grad():
            before = [(rows, rows.clone()) for rows in self.held(progress)]
        yield
        with torch.no_grad():
            for rows, old in before:
                rows.copy_(old)
