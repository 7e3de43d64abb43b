"""Ray Train's PyTorch backend, loaded only in processes that use PyTorch.

`TorchTrainer` loads PyTorch in the process that starts it, which here is a trial's actor that only relays reports: some
190 MB of resident memory wasted per place. This module names the same backend but loads it in the workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.util import TrainingFramework


@dataclass
class LateTorchConfig(BackendConfig):
    """Ray's `TorchConfig`, without PyTorch."""

    backend: str
    """The backend of the process group: "gloo" or "nccl"."""

    @property
    def backend_cls(self) -> type[Backend]:
        """The class that sets up the workers."""
        return LateTorchBackend

    @property
    def train_func_context(self) -> Any:
        """The context manager around the train function."""
        return _own_device

    @property
    def framework(self) -> TrainingFramework:
        """The name shown in Ray's dashboard."""
        return TrainingFramework.TORCH


class LateTorchBackend(Backend):
    """Delegates everything to Ray's own backend."""

    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        """Set up the process group."""
        from ray.train.torch.config import TorchConfig

        own = TorchConfig(backend=backend_config.backend)
        own.backend_cls().on_start(worker_group, own)

    def on_shutdown(self, worker_group: Any, backend_config: Any) -> None:
        """Take the process group down."""
        from ray.train.torch.config import TorchConfig

        own = TorchConfig(backend=backend_config.backend)
        own.backend_cls().on_shutdown(worker_group, own)


@contextmanager
def _own_device() -> Iterator[None]:
    from ray.train.torch.config import TorchConfig

    with TorchConfig().train_func_context():
        yield
