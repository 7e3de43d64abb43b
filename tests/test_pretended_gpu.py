"""The pretended GPU fails where a real one would, and its numbers are right."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pretended_gpu import pretended_gpu
from torch import nn

GPU = torch.device("cuda")
MISTAKES: dict[str, Callable[[], Any]] = {
    "two devices": lambda: torch.zeros(3, device=GPU) + torch.zeros(3),
    "two devices, of several": lambda: torch.stack([torch.zeros(3, device=GPU), torch.zeros(3)]),
    "an index there for what is here": lambda: torch.zeros(3)[torch.zeros(1, dtype=torch.long, device=GPU)],
    "rows of another device": lambda: torch.zeros(3, device=GPU).index_select(0, torch.zeros(1, dtype=torch.long)),
    "a layer that was not moved": lambda: nn.Linear(3, 2)(torch.zeros(1, 3, device=GPU)),
    "a generator of the CPU": lambda: torch.randn(3, device=GPU, generator=torch.Generator()),
    "a result of another device": lambda: torch.add(torch.zeros(3), 1, out=torch.zeros(3, device=GPU)),
    "memory of no GPU in particular": lambda: torch.cuda.get_per_process_memory_fraction(GPU),
    "weights that lie otherwise than their gradients": lambda: torch._fused_sgd_(
        [torch.zeros(2, 3, device=GPU)],
        [torch.zeros(3, 2, device=GPU).T],
        [],
        lr=0.1,
        momentum=0.0,
        dampening=0.0,
        weight_decay=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_what_fails_on_a_gpu_fails(mistake: Callable[[], Any]) -> None:
    with pretended_gpu(), pytest.raises((RuntimeError, ValueError)):
        mistake()


def test_numpy_sees_nothing_that_is_on_a_gpu() -> None:
    with pretended_gpu(), pytest.raises(TypeError, match="cuda:0"):
        torch.zeros(3, device=GPU).numpy()


WAITS: dict[str, tuple[int, Callable[[torch.Tensor], Any]]] = {
    "a number": (1, lambda x: x.sum().item()),
    "a list": (1, lambda x: x.tolist()),
    "a condition": (1, lambda x: bool((x > 0).any())),
    "a mask": (1, lambda x: x[x > 0]),
    "a copy here": (1, lambda x: x.cpu()),
    "a copy there": (1, lambda x: torch.zeros(3).to(GPU)),
    "numbers of Python's": (1, lambda x: torch.tensor([1.0, 2.0], device=GPU)),
    "an index that is here": (1, lambda x: x[torch.tensor([1])]),
    "a copy there that is not waited for": (0, lambda x: torch.zeros(3).to(GPU, non_blocking=True)),
    "an index that is there": (0, lambda x: x[torch.arange(2, device=GPU)]),
    "sums": (0, lambda x: (x * 2 + x.mean()).relu()),
    "what is there already": (0, lambda x: x.to(GPU)),
}


@pytest.mark.parametrize(("count", "work"), WAITS.values(), ids=WAITS)
def test_what_waits_for_a_gpu_is_counted(count: int, work: Callable[[torch.Tensor], Any]) -> None:
    with pretended_gpu() as waits:
        there = torch.randn(3, device=GPU)
        work(there)
    assert waits.total() == count


def test_a_network_learns_there_what_it_learns_here() -> None:
    def learned(device: str) -> list[torch.Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 3)).to(device)
        with torch.autocast(device, torch.bfloat16):
            logits = network(torch.arange(144.0, device=device).view(4, 1, 6, 6))
        assert logits.device.type == device
        assert logits.dtype == torch.bfloat16
        nn.functional.cross_entropy(logits.float(), torch.tensor([0, 1, 2, 0], device=device)).backward()
        return [each for p in network.parameters() if p.grad is not None for each in (p.grad.cpu(), p.detach().cpu())]

    here = learned("cpu")
    with pretended_gpu():
        there = learned("cuda")
    assert len(here) == 12
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))
