"""Weights in safetensors files."""

from pathlib import Path

import pytest
import torch
from disks import files_of_at_most
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from distill_tune.weights import write_weights


class Tied(nn.Module):
    """Shares one table between input and output, as language models do."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.say = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.say.weight = self.read.weight


_WHOLE = torch.arange(24.0).view(2, 3, 4)
STATES: dict[str, dict[str, Tensor]] = {
    "tied": Tied().state_dict(),
    "parts of one tensor": {"first": _WHOLE[0], "second": _WHOLE[1], "both": _WHOLE},
    "channels last": {"convolution": torch.rand(3, 2, 3, 3).contiguous(memory_format=torch.channels_last)},
    "turned": {"turned": _WHOLE.mT, "repeated": torch.ones(1).expand(4)},
    "of several kinds": {"half": torch.rand(3).bfloat16(), "count": torch.tensor(3), "none": torch.zeros(0, 2)},
    "trained": {"weight": nn.Parameter(torch.rand(2))},
}


@pytest.mark.parametrize("name", STATES)
def test_weights_are_read_back_as_they_were(name: str, tmp_path: Path) -> None:
    state = STATES[name]
    write_weights(tmp_path / "weights.safetensors", state)
    again = load_file(tmp_path / "weights.safetensors")
    assert again.keys() == state.keys()
    for key, tensor in state.items():
        assert again[key].dtype == tensor.dtype
        assert torch.equal(again[key], tensor)


def test_a_network_with_tied_weights_takes_its_own_back(tmp_path: Path) -> None:
    network, other = Tied(), Tied()
    write_weights(tmp_path / "weights.safetensors", network.state_dict())
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.say.weight, network.read.weight)
    assert other.say.weight is other.read.weight


def test_what_is_said_of_them_stands_beside_them_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_weights(tmp_path / "folder" / "weights.safetensors", {"weight": torch.ones(2)}, {"norm": "1.41"})
    with safe_open(tmp_path / "folder" / "weights.safetensors", framework="pt") as file:
        assert file.metadata() == {"norm": "1.41"}
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["weights.safetensors"]


def test_what_the_disk_does_not_take_is_the_disks_error_and_leaves_nothing(tmp_path: Path) -> None:
    with files_of_at_most(1_000), pytest.raises(OSError, match="File too large"):
        write_weights(tmp_path / "weights.safetensors", {"weight": torch.ones(10_000)})
    assert not list(tmp_path.iterdir())
