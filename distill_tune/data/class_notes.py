"""Notes for users about the classes: names that look alike, and classes with too few samples to judge by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distill_tune.config.messages import listed
from distill_tune.data.raw import Raw
from distill_tune.data.splits import Rows

_FEW = 3
"""With fewer samples, a class's accuracy says nothing at all."""
_FEW_TO_RANK_BY = 10
"""With fewer samples, accuracy is too coarse to rank students by: steps of over ten points, and chance as large."""


def said_of_classes(raw: Raw, rows: Rows) -> list[str]:
    """Notes on classes with similar names and on rare classes, at most one line each."""
    return [*_alike(raw.classes), *_rare(raw, rows)]


def too_few_to_rank_by(labels: npt.NDArray[np.int64], classes: tuple[str, ...]) -> str:
    """The classes with few samples among these, and how many; empty if there are enough of each."""
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    few = sorted((int(count), name) for count, name in zip(counts, classes, strict=True) if count < _FEW_TO_RANK_BY)
    return listed([f"{name!r} ({count})" for count, name in few])


def _alike(classes: tuple[str, ...]) -> list[str]:
    seen: dict[str, str] = {}
    pairs = [(seen.setdefault(" ".join(name.split()).casefold(), name), name) for name in classes]
    told = [f"{one!r} and {other!r}" for one, other in pairs if one != other]
    return [f"classes that differ in spaces or upper case alone: {listed(told)}; are they one?"] if told else []


def _rare(raw: Raw, rows: Rows) -> list[str]:
    validated = rows.train[raw.labels[rows.train] >= 0] if rows.of_all_folds else rows.validation
    parts = {name: part for name, part in (("validate", validated), ("test", rows.test)) if len(part)}
    counts = {name: np.bincount(raw.labels[part], minlength=len(raw.classes)) for name, part in parts.items()}
    rare = [place for place in range(len(raw.classes)) if any(count[place] < _FEW for count in counts.values())]
    if not rare:
        return []
    told = [_counted(raw.classes[place], counts, place) for place in rare]
    return [f"classes of few samples, by which nobody can be judged: {listed(told)}"]


def _counted(name: str, counts: dict[str, np.ndarray], place: int) -> str:
    return f"{name!r} ({', '.join(f'{count[place]} to {part}' for part, count in counts.items())})"
