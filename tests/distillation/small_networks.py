"""Small networks whose features are inspected, and a count of the hooks on them."""

from typing import Any

import torch
from torch import Tensor, nn

from distill_tune.registry import STUDENTS
from distill_tune.students import build_student

IMAGE, ROW = (1, 8, 8), (6,)


def network(family: str, input_shape: tuple[int, ...] = IMAGE, **options: Any) -> nn.Module:
    return build_student(STUDENTS.get(family)(**options), input_shape, 4, (1.0,), (2.0,))


def hooks_of(module: nn.Module) -> int:
    return sum(len(each._forward_hooks) for each in module.modules())


class Own(nn.Module):
    """A custom network: unusual names, functions between layers, tokens, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList([nn.Conv2d(3, 5, 3, 2, 1), nn.Conv2d(5, 7, 3, 2, 1)])
        self.tokens = nn.MultiheadAttention(7, 1, batch_first=True)
        self.unused = nn.Linear(2, 2)
        self.classify = nn.Linear(7, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.stem(inputs)
        for stage in self.stages:
            maps = torch.relu(stage(maps))
        rows = maps.flatten(2).mT
        rows, _ = self.tokens(rows, rows, rows)
        logits: Tensor = self.classify(rows.mean(1))
        return logits
