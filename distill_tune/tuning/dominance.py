"""Rank results by several objectives.

One result dominates another if it is as good in every objective and better in one. The front consists of the
non-dominated results; the second layer is the front of the rest, and so on (Deb et al., "A Fast and Elitist
Multiobjective Genetic Algorithm", IEEE Trans. Evol. Comp. 2002). Within a layer the best by the first objective comes
first, then each time the point farthest from all chosen so far, so that every part of the front is covered early (the
epsilon-net of Schmucker et al., "Multi-objective Asynchronous Successive Halving", 2021,
https://arxiv.org/abs/2106.12639). Distances are between ranks by each objective, so no objective needs a scale.

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
    """Whether `one` is as good as `other` in every objective and better in at least one."""
    return one != other and all(map(ge, one, other))


def on_front(points: Sequence[Scores]) -> list[bool]:
    """Whether each point is non-dominated; equal points share the answer."""
    import numpy as np

    if not points:
        return []
    distinct, place = np.unique(-np.asarray(points, dtype=float), axis=0, return_inverse=True)
    is_free = np.zeros(len(distinct), dtype=bool)
    left = np.arange(len(distinct))  # sorted so that no point is dominated by a later one
    while left.size:
        first, left = left[0], left[1:]
        is_free[first] = True
        left = left[(distinct[left] < distinct[first]).any(axis=1)]
    found: list[bool] = is_free[place.reshape(-1)].tolist()
    return found


def spread(points: Sequence[Scores], count: int) -> list[int]:
    """The indices of up to `count` points: the best by the first objective, then each time the farthest from those.

    Equal distances are broken by the objectives in their order, equal points by index.
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
    """The indices of the best `count` points, best first: layer by layer, each in the order of `spread`."""
    left, best = list(range(len(points))), list[int]()
    while left and len(best) < count:
        is_front = on_front([points[i] for i in left])
        layer = [i for i, free in zip(left, is_front, strict=True) if free]
        left = [i for i, free in zip(left, is_front, strict=True) if not free]
        best += [layer[i] for i in spread([points[i] for i in layer], count - len(best))]
    return best


def _places(points: Sequence[Scores]) -> NDArray[Any]:
    """Rank of each point by each objective, [points, objectives], scaled to 0..1; equal scores share a rank."""
    import numpy as np

    columns = [np.unique(column, return_inverse=True)[1] for column in np.asarray(points, dtype=float).T]
    return np.stack([column / max(1, int(column.max(initial=0))) for column in columns], axis=1)


class Layers:
    """The layers of a growing set, updated as each point arrives.

    Li et al., "Efficient Nondomination Level Update Approach for Steady-State Evolutionary Multiobjective
    Optimization", IEEE Trans. Cybernetics 2017.
    """

    def __init__(self) -> None:
        self._layers: list[dict[str, Scores]] = []

    def __len__(self) -> int:
        return sum(map(len, self._layers))

    def add(self, name: str, scores: Scores) -> None:
        """Put a point into the first layer that has none dominating it; those that it dominates there move down."""
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
        """Whether a point is non-dominated."""
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
        """Whether a point is among the best `count` or on the first layer; ties are broken by name."""
        for layer, room in self._with_room(count):
            if name in layer:
                return room >= len(layer) or name in _in_order(layer, room)
        return False

    def first_of(self, names: set[str], count: int) -> str | None:
        """The first of `names` among the best `count` and the first layer; None if there is none."""
        for layer, room in self._with_room(count):
            if not names.isdisjoint(layer):
                found = next((name for name in _in_order(layer, room) if name in names), None)
                if found is not None:
                    return found
        return None

    def remove(self, name: str) -> None:
        """Remove a point if present; points that it alone kept down move up, layer by layer."""
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
        """Each layer that holds some of the best `count`, and how many; all of the first one."""
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
        while low < high:  # if a layer dominates it, so do all layers above
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
