"""Which of several results are the better ones when there is more than one objective.

One dominates another if it is as good in every objective and better in one. The front is what nobody dominates; below
it is the second layer, the front of what is left, and so on (Deb et al., "A Fast and Elitist Multiobjective Genetic
Algorithm", IEEE Trans. Evol. Comp. 2002). Within a layer the best by the first objective comes first, and each further
place goes to whoever is farthest from all before it: every part of the front is served early (the epsilon-net of
Schmucker et al., "Multi-objective Asynchronous Successive Halving", 2021, https://arxiv.org/abs/2106.12639). Distances
are between places in the order by each objective, so that no objective needs a scale.

Scores throughout: larger is better, all finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import ge
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scores = tuple[float, ...]


def dominates(one: Scores, other: Scores) -> bool:
    """Whether `one` is as good as `other` in everything, and better in something."""
    return one != other and all(map(ge, one, other))


def on_front(points: Sequence[Scores]) -> list[bool]:
    """Whether each point is dominated by no other; equal points are so together."""
    import numpy as np

    if not points:
        return []
    distinct, place = np.unique(-np.asarray(points, dtype=float), axis=0, return_inverse=True)
    is_free = np.zeros(len(distinct), dtype=bool)
    left = np.arange(len(distinct))  # in such an order that nobody is dominated by one who comes later
    while left.size:
        first, left = left[0], left[1:]
        is_free[first] = True
        left = left[(distinct[left] < distinct[first]).any(axis=1)]
    found: list[bool] = is_free[place.reshape(-1)].tolist()
    return found


def spread(points: Sequence[Scores], count: int) -> list[int]:
    """The places of up to `count` of the points: the best by the first objective, then whoever is farthest from those.

    Equal distances are broken by the objectives in their order, equal points by place.
    """
    import numpy as np

    if not points:
        return []
    order = sorted(range(len(points)), key=lambda i: (*(-score for score in points[i]), i))
    coordinates = _places([points[i] for i in order])
    chosen = list[int]()
    nearest = np.full(len(order), np.inf)
    while len(chosen) < min(count, len(order)):
        latest = int(nearest.argmax())
        chosen.append(latest)
        nearest = np.minimum(nearest, ((coordinates - coordinates[latest]) ** 2).sum(axis=1))
        nearest[chosen] = -1
    return [order[i] for i in chosen]


def best_of(points: Sequence[Scores], count: int) -> list[int]:
    """The places of the best `count` points, the best first: layer by layer, each in the order of `spread`."""
    left, best = list(range(len(points))), list[int]()
    while left and len(best) < count:
        is_front = on_front([points[i] for i in left])
        layer = [i for i, free in zip(left, is_front, strict=True) if free]
        left = [i for i, free in zip(left, is_front, strict=True) if not free]
        best += [layer[i] for i in spread([points[i] for i in layer], count - len(best))]
    return best


def _places(points: Sequence[Scores]) -> NDArray[Any]:
    """[points, objectives]: where each stands in the order by each objective, from 0 to 1; equal scores together."""
    import numpy as np

    columns = [np.unique(column, return_inverse=True)[1] for column in np.asarray(points, dtype=float).T]
    return np.stack([column / max(1, int(column.max(initial=0))) for column in columns], axis=1)


class Layers:
    """The layers of a set that grows, each kept right as a point arrives.

    Li et al., "Efficient Nondomination Level Update Approach for Steady-State Evolutionary Multiobjective
    Optimization", IEEE Trans. Cybernetics 2017.
    """

    def __init__(self) -> None:
        self._layers: list[dict[str, Scores]] = []

    def __len__(self) -> int:
        return sum(map(len, self._layers))

    def add(self, name: str, scores: Scores) -> None:
        """Put a point into the first layer of which nobody dominates it; those that it dominates there move down."""
        place, moving = self._place_for(scores), {name: scores}
        while moving:
            if place == len(self._layers):
                self._layers.append({})
            layer = self._layers[place]
            pushed = {other: s for other, s in layer.items() if any(dominates(m, s) for m in moving.values())}
            for other in pushed:
                del layer[other]
            layer.update(moving)
            place, moving = place + 1, pushed

    def is_on_front(self, name: str) -> bool:
        """Whether nobody dominates a point."""
        return name in self._layers[0]

    def is_among(self, name: str, count: int) -> bool:
        """Whether a point is among the best `count`, or equal to one that is."""
        ahead = 0
        for layer in self._layers:
            if ahead >= count:
                return False
            if name in layer:
                return ahead + len(layer) <= count or self._is_chosen(layer, layer[name], count - ahead)
            ahead += len(layer)
        raise KeyError(name)

    def is_first(self, name: str, count: int) -> bool:
        """Whether a point is among the best `count`, or on the first layer; equals come in the order of their names."""
        for layer, room in self._with_room(count):
            if name in layer:
                return room >= len(layer) or name in _in_order(layer, room)
        return False

    def first_of(self, names: set[str], count: int) -> str | None:
        """Whoever of `names` comes first among the best `count` and on the first layer; None where nobody does."""
        for layer, room in self._with_room(count):
            if not names.isdisjoint(layer):
                found = next((name for name in _in_order(layer, room) if name in names), None)
                if found is not None:
                    return found
        return None

    def remove(self, name: str) -> None:
        """Take a point out, if it is there; whom it alone has kept down, layer by layer, moves up."""
        place = next((place for place, layer in enumerate(self._layers) if name in layer), len(self._layers))
        moving = {name}
        while moving and place < len(self._layers):
            layer = self._layers[place]
            below = self._layers[place + 1] if place + 1 < len(self._layers) else {}
            for other in moving:
                layer.pop(other, None)
            free = {n: s for n, s in below.items() if not any(dominates(other, s) for other in layer.values())}
            layer.update(free)
            place, moving = place + 1, set(free)
        while self._layers and not self._layers[-1]:
            self._layers.pop()

    def _with_room(self, count: int) -> Iterator[tuple[dict[str, Scores], int]]:
        """Each layer with one of the best `count`, and how many of it are; of the first one, all."""
        ahead = 0
        for layer in filter(None, self._layers):
            if ahead and ahead >= count:
                return
            yield layer, count - ahead if ahead else len(layer)
            ahead += len(layer)

    @staticmethod
    def _is_chosen(layer: dict[str, Scores], scores: Scores, count: int) -> bool:
        distinct = list(set(layer.values()))
        return distinct.index(scores) in spread(distinct, count)

    def _place_for(self, scores: Scores) -> int:
        low, high = 0, len(self._layers)
        while low < high:  # a layer that dominates it lies below others that do
            middle = (low + high) // 2
            if any(dominates(other, scores) for other in self._layers[middle].values()):
                low = middle + 1
            else:
                high = middle
        return low


def _in_order(layer: dict[str, Scores], count: int) -> list[str]:
    """The first `count` names of a layer."""
    names = sorted(layer)
    return [names[place] for place in spread([layer[name] for name in names], count)]
