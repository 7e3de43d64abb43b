"""PyTorch teachers: factories, fit for the data or not, and weights in a file."""

from pathlib import Path
from typing import Any

import pytest
import torch
from loaded_teachers import loaded_from
from safetensors.torch import save_file
from torch import Tensor, nn

from distill_tune.config.sections import TeacherConfig
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher

IMAGES = DataSpec(("a", "b", "c"), (1, 4, 4), (100.0,), (50.0,), "data", 10)


def network(inputs: int = 16, outputs: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, outputs))


def wrapped(**options: int) -> nn.Module:
    return nn.DataParallel(network(**options))


def ends_in_log_softmax(**options: int) -> nn.Module:
    return nn.Sequential(network(**options), nn.LogSoftmax(1))


def of_rows(**options: int) -> nn.Module:
    return network(inputs=5, **options)


class Named(nn.Module):
    """Returns its logits in a dictionary, as some libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": self.inner(inputs)}


class Picky(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        raise TypeError("not these\ninputs")


class NeedsMore(nn.Module):
    def __init__(self, classes: int):
        super().__init__()


def failing() -> nn.Module:
    raise KeyError("nothing\nworks")


a_number = 7


def asserting() -> nn.Module:
    raise AssertionError("this makes nothing")


def load(
    path: Path, data_spec: DataSpec = IMAGES, factory: str = "network", trust: bool = False, **options: Any
) -> LoadedTeacher:
    """Load the way `prepare` does."""
    dotted = factory if ":" in factory or factory == "nodot" else f"torch_models:{factory}"
    table = {"factory": dotted} | options
    config = TeacherConfig(source="torch", path=str(path), trust=trust, torch=table)  # type: ignore[call-arg]
    return loaded_from(config, data_spec, path.parent)


def weights_of(module: nn.Module, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(module.state_dict(), path)
    else:
        torch.save(module.state_dict(), path)
    return path


def dict_maker() -> dict[str, int]:
    return {}


def of_four() -> nn.Module:
    return network(outputs=4)


def refused(path: Path, message: str, **options: Any) -> None:
    """Check for one line that is not too long to read."""
    with pytest.raises(TeacherError, match=message) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 450
