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
