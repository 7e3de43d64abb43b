"""What the losses of a space ask of the data, looked at before anything is trained.

A term of which nothing is left (of two classes, of a single sample) teaches nothing and raises nothing.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor

from distill_tune.config import Space
from distill_tune.config.naming_classes import check_classes_are_named
from distill_tune.config.ranges import Choice, Range
from distill_tune.data import Dataset
from distill_tune.distillation.cache.seen import num_visible
from distill_tune.distillation.devices import devices_to_try_on
from distill_tune.distillation.losses import Loss
from distill_tune.errors import ConfigError, one_line
from distill_tune.registry import LOSSES

_TRIED = 16
"""Samples that a user's own loss is tried on before anything is started."""
_WARM = (2.0, 3.0)
"""The temperatures then: of one student the first, of as many lanes each its own."""


def losses_in(space: Space) -> list[tuple[str, Loss]]:
    """Name and loss for every term of the teacher's in the space, in each way that it may ask for something."""
    found = list[tuple[str, Loss]]()
    for name in dict.fromkeys([*space.kinds, *space.added]):
        kind: type[Loss] = LOSSES.get(name)
        ranges = {p[2]: r for p, r in space.ranges.items() if p[:2] == ("loss", name) and p[2] in kind.decisive_options}
        for values in product(*(_looked_at(each, key in kind.weights) for key, each in ranges.items())):
            table = {**space.config.loss.tables.get(name, {}), **dict(zip(ranges, values, strict=True))}
            if not kind.weights or any(table.get(key, 1) for key in kind.weights):  # else refused where it is proposed
                found.append((name, kind(**table)))
    return found


def _looked_at(found: Range, is_weight: bool) -> list[Any]:
    """Corners; of weights that are no choice the last: none is ever drawn to be just 0."""
    corners = list(found.corners())
    return corners[-1:] if is_weight and not isinstance(found, Choice) else corners


def check_losses(space: Space, dataset: Dataset) -> None:
    """Look at what the losses of a space ask of the data.

    Raises:
        ConfigError: there are too few classes for one of them, or for one without labels, or too few samples in a
            worker's part of a batch; or a user's own gives no number that can be minimised.
    """
    part = smallest_part(space, dataset)
    for name, loss in losses_in(space):
        _check_classes(name, loss, len(dataset.classes))
        _check_samples(name, loss, space, part)
        if ":" in name and loss.uses_teacher and not loss.reads_features:
            for device in devices_to_try_on(space.config):
                _check_gives(name, loss, len(dataset.classes), device)
    check_classes_are_named(space, len(dataset.classes))


def _check_classes(name: str, loss: Loss, classes: int) -> None:
    needed = loss.needed_classes
    if classes < needed:
        other = "give its other part a weight, or " if needed > loss.fewest_classes else ""
        raise ConfigError(
            f"loss: nothing is left of {name!r} where there are fewer than {needed} classes, but the data have "
            f"{classes}; {other}choose another loss, such as 'soft_targets'."
        )


def _check_gives(name: str, loss: Loss, classes: int, device: str) -> None:
    """Try a user's own on made-up logits; what it raises is its fault, and is told as that."""
    draw = torch.Generator().manual_seed(0)
    students, teachers = (torch.randn(len(_WARM), _TRIED, classes, generator=draw).to(device) for _ in range(2))
    labels = (torch.arange(_TRIED, device=device) % classes).expand(len(_WARM), _TRIED)
    given: object = loss.soft_with_labels(students[0].requires_grad_(), teachers[0], _WARM[0], labels[0])
    if not isinstance(given, Tensor):
        what = f"{given!r:.60}"
    elif given.dim():
        what = f"numbers of shape {list(given.shape)}"
    elif given.is_complex():
        what = "a complex one"
    elif not given.requires_grad:
        what = "one without gradient by the student's logits"
    elif not given.isfinite():
        what = f"{given.item()} for logits of usual size"
    else:
        if loss.over_lanes:
            _check_lanes(name, loss, students, teachers, labels)
        return
    raise ConfigError(f"loss: `soft` of {name!r} must give one number as a tensor, but gave {what}; mend it.")


def _check_lanes(name: str, loss: Any, students: Tensor, teachers: Tensor, labels: Tensor) -> None:
    """Compare what it gives of several students at once with what it gives of each; both are [lanes, batch, ...]."""
    lanes = zip(students, teachers, _WARM, labels, strict=True)
    alone = torch.stack([loss.soft_with_labels(*lane) for lane in lanes])
    try:
        given = loss.soft_with_labels(students, teachers, torch.tensor(_WARM, device=labels.device), labels)
        is_right = isinstance(given, Tensor) and given.shape == alone.shape and torch.allclose(given, alone, rtol=1e-4)
        what = "" if is_right else "gives another thing than each lane's own number, [lanes]"
    except Exception as error:  # whatever the user's own raises, which is right of one student
        what = f"raises {one_line(error)}"
    if what:
        raise ConfigError(
            f"loss: {name!r} says that it is `over_lanes`, but of logits [lanes, batch, classes] and temperatures "
            f"[lanes] `soft` {what}; mend it, or leave `over_lanes` out."
        )


def smallest_part(space: Space, dataset: Dataset) -> int:
    """The fewest samples that a worker sees in a step of any trial with a teacher."""
    return _part_of(num_visible(dataset), space)


def smallest_part_of_any(space: Space, dataset: Dataset) -> int:
    """Likewise without one, as a baseline trains on the rows alone whose labels a student may see."""
    return _part_of(min(num_visible(dataset), int(dataset.split("train").labelled.sum())), space)


def _part_of(samples: int, space: Space) -> int:
    return min(smallest_batch(space), samples) // space.config.resources.workers_per_trial


def smallest_batch(space: Space) -> int:
    """`optim.batch_size`, or the smallest of its range."""
    found = space.ranges.get(("optim", "batch_size"))
    return min(found.corners()) if found else space.config.optim.batch_size


def _check_samples(name: str, loss: Loss, space: Space, part: int) -> None:
    needed, workers, batch = loss.needed_samples, space.config.resources.workers_per_trial, smallest_batch(space)
    if part >= needed:
        return
    rule = f"loss {name!r} needs {needed} samples a step for each worker (there are {workers})"
    if batch // workers < needed:
        raise ConfigError(
            f"optim.batch_size: {rule}, but got {batch}; write {needed * workers} or more, or choose another loss."
        )
    raise ConfigError(
        f"data: {rule}, but there are too few that a student may see; give it {needed * workers} or more, or choose "
        "another loss."
    )
