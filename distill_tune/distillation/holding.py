"""Hold rows of a student's weights fixed for a while, as a function of the training's progress alone.

No state is kept between steps, so a resumed training holds the same rows as an uninterrupted one. The optimizer steps
as usual, with its moments and weight decay, and the held rows are then restored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType

import torch
from torch import Tensor, nn

NOTHING: Mapping[str, int] = MappingProxyType({})
_FREE = nullcontext()
"""For a student that holds nothing, as most do: a small student's step is too short for more overhead."""


class Hold:
    """Holds the first rows of parameters and frees them one after another."""

    def __init__(self, module: nn.Module, rows: Mapping[str, int] = NOTHING, free_by: float = 1.0):
        """Hold rows of `module`.

        Args:
            module: the student.
            rows: parameter name to the number of its first rows that are held; the first row is freed first.
            free_by: share of the training, in (0, 1], by which all rows are free.
        """
        parameters = dict(module.named_parameters(remove_duplicate=False))  # one module may have two names
        self._rows = [(parameters[name], count) for name, count in rows.items()]
        self._free_by = free_by

    @property
    def is_free(self) -> bool:
        """Whether no rows are ever held."""
        return not self._rows

    def held(self, progress: float) -> list[Tensor]:
        """The rows that are held at `progress`, in [0, 1): views of the parameters."""
        share = progress / self._free_by
        return [p[free:n] for p, n in self._rows if (free := 1 + int(share * n)) < n]

    def at(self, progress: float) -> AbstractContextManager[None]:
        """Let the block change the student, then restore the rows held at `progress`."""
        return self._holding(progress) if self._rows else _FREE

    @contextmanager
    def _holding(self, progress: float) -> Iterator[None]:
        with torch.no_grad():
            before = [(rows, rows.clone()) for rows in self.held(progress)]
        yield
        with torch.no_grad():
            for rows, old in before:
                rows.copy_(old)
