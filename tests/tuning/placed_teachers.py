"""Teachers for Ray's workers, which import them from here."""

import os
import threading
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class DiesInPlaces(nn.Module):
    """Kills any process but its own on inputs chosen by `when`; or, without it, cannot be loaded elsewhere."""

    def __init__(self, when: Callable[[Tensor], bool] | None) -> None:
        super().__init__()
        self.home, self.when = os.getpid(), when

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.when is None:
            raise ModuleNotFoundError("No module named 'transformers'")

    def forward(self, inputs: Tensor) -> Tensor:
        if os.getpid() != self.home and self.when is not None and self.when(inputs):
            os._exit(1)
        return inputs * 2


def third(inputs: Tensor) -> bool:
    return bool(inputs[0, 0] == 3.0)


class HoldsALock(nn.Module):
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def forward(self, inputs: Tensor) -> Tensor:
        with self.lock:
            return inputs * 2


class NotFinite(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs / 0


class FailsInPlaces(nn.Module):
    """Any process but its own has no memory for the third portion."""

    def __init__(self) -> None:
        super().__init__()
        self.home = os.getpid()

    def forward(self, inputs: Tensor) -> Tensor:
        if os.getpid() != self.home and third(inputs):
            raise RuntimeError("CUDA out of memory")
        return inputs * 2
