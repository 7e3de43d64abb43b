"""A student of one's own that is odd, for the tests that find it by its dotted path."""

from torch import Tensor, nn


class Unreached(nn.Module):
    """Has weights on which no logit depends."""

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.used, self.unused = nn.Linear(features, classes), nn.Linear(features, classes)

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.used(rows)
        return found


def unreached(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Unreached(input_shape[0], classes)


class Clipped(nn.Module):
    """Clips what it is given, in place or not."""

    def __init__(self, features: int, classes: int, in_place: bool):
        super().__init__()
        self.in_place, self.head = in_place, nn.Linear(features, classes)

    def forward(self, rows: Tensor) -> Tensor:
        logits: Tensor = self.head(rows.clamp_(-1, 1) if self.in_place else rows.clamp(-1, 1))
        return logits


def clipped(input_shape: tuple[int, ...], classes: int, in_place: bool) -> nn.Module:
    return Clipped(input_shape[0], classes, in_place)
