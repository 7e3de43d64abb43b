"""Unusual custom students, for tests that import them by dotted path."""

from math import prod

import torch
from torch import Tensor, nn

from distill_tune.students import CLASSES, HEAD, INPUT, STEM, Student, Wiring, body


class Unreached(nn.Module):
    """Has weights that do not affect the logits."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.used, self.unused = nn.Linear(features, classes), nn.Linear(features, classes)

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.used(rows)
        return found


def unreached(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Unreached(input_shape[0], classes)


class Clipped(nn.Module):
    """Clips its inputs, in place or not."""

    def __init__(self, features: int, classes: int, in_place: bool):
        super().__init__()
        self.in_place, self.head = in_place, nn.Linear(features, classes)

    def forward(self, rows: Tensor) -> Tensor:
        logits: Tensor = self.head(rows.clamp_(-1, 1) if self.in_place else rows.clamp(-1, 1))
        return logits


def clipped(input_shape: tuple[int, ...], classes: int, in_place: bool) -> nn.Module:
    return Clipped(input_shape[0], classes, in_place)


class Keeping(nn.Module):
    """Keeps a tensor as long as the largest batch so far, as some networks keep a mask."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.hidden, self.head = nn.Linear(features, 16), nn.Linear(16, classes)
        self.kept = torch.ones(0, 1)

    def forward(self, rows: Tensor) -> Tensor:
        if len(self.kept) < len(rows):
            self.kept = torch.ones(len(rows), 1)
        logits: Tensor = self.head(self.hidden(rows).relu() * self.kept[: len(rows)])
        return logits


def keeping(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Keeping(input_shape[0], classes)


class Skipping(Student):
    """A family that declares its wiring: narrow blocks, each of which adds to the stream that it reads."""

    width: int = 8
    narrow: int = 4
    depth: int = 1

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return Stream(prod(input_shape), classes, self.width, self.narrow, self.depth)

    def wiring(self, network: nn.Module) -> Wiring:
        wiring = Wiring(network)
        stream = wiring.add(STEM, "main", "stem", INPUT, wiring.new_group())
        for block in range(self.depth):
            place = body(0, block)
            wiring.add(place, "norm", f"norms.{block}", None, stream)
            narrow = wiring.add(place, "down", f"downs.{block}", stream, wiring.new_group())
            wiring.add(place, "up", f"ups.{block}", narrow, stream)
        wiring.add(HEAD, "main", "head", stream, CLASSES)
        return wiring


class Stream(nn.Module):
    """Cannot be built on the meta device, and has a factor that no file stores."""

    def __init__(self, features: int, classes: int, width: int, narrow: int, depth: int):
        super().__init__()
        self.register_buffer("factor", torch.full((), 2.0), persistent=False)
        self.shares = torch.linspace(1.0, 0.5, depth).tolist()
        self.stem, self.head = nn.Linear(features, width), nn.Linear(width, classes)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))
        self.downs = nn.ModuleList(nn.Linear(width, narrow) for _ in range(depth))
        self.ups = nn.ModuleList(nn.Linear(narrow, width) for _ in range(depth))

    def forward(self, rows: Tensor) -> Tensor:
        stream = self.stem(self.factor * rows.flatten(1))
        for share, norm, down, up in zip(self.shares, self.norms, self.downs, self.ups, strict=True):
            stream = stream + share * up(down(norm(stream)).relu())
        logits: Tensor = self.head(stream.relu())
        return logits
