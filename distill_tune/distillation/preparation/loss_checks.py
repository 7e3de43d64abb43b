"""Check the data against the losses of a space before anything is trained.

A term that vanishes (with two classes, or a single sample) teaches nothing and raises no error.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from distill_tune.config import Space
from distill_tune.config.loss_corners import losses_in
from distill_tune.config.naming_classes import check_classes_are_named
from distill_tune.data import UNLABELLED, Dataset
from distill_tune.distillation.cache.seen import num_visible
from distill_tune.distillation.devices import devices_to_try_on
from distill_tune.distillation.losses import Loss
from distill_tune.errors import ConfigError, one_line
from distill_tune.registry import AUGMENTATIONS

TRIED = 16
"""Number of samples that a custom loss is tried on before anything is started."""
_WARM = (2.0, 3.0)
"""Temperatures to try it at: the first for a single student, one per lane for lanes."""


def check_losses(space: Space, dataset: Dataset) -> None:
    """Check the data against the losses of a space, and try custom losses.

    Raises:
        ConfigError: there are too few classes for a loss, or for one used without labels, or too few samples in a
            worker's part of a batch; or a custom loss returns no number that can be minimised.
    """
    part = smallest_part(space, dataset)
    for name, loss in losses_in(space):
        _check_classes(name, loss, len(dataset.classes))
        _check_samples(name, loss, space, part)
        if ":" in name and loss.uses_teacher and not loss.reads_features:
            for device in devices_to_try_on(space.config):
                _check_gives(name, loss, len(dataset.classes), _labels_to_try(loss, space, dataset, device))
    check_classes_are_named(space, len(dataset.classes))


def _check_classes(name: str, loss: Loss, classes: int) -> None:
    needed = loss.needed_classes
    if classes < needed:
        other = "give its other part a weight, or " if needed > loss.fewest_classes else ""
        raise ConfigError(
            f"loss: nothing is left of {name!r} where there are fewer than {needed} classes, but the data have "
            f"{classes}; {other}choose another loss, such as 'soft_targets'."
        )


def _labels_to_try(loss: Loss, space: Space, dataset: Dataset, device: str) -> dict[str, Tensor | None]:
    """Labels [lanes, batch] to try, by the case for an error; only a loss that reads labels gets more than one case."""
    classes = torch.arange(TRIED, device=device) % len(dataset.classes)
    tried: dict[str, Tensor | None] = {"": classes.expand(len(_WARM), TRIED)}
    if type(loss).soft_with_labels is Loss.soft_with_labels:
        return tried
    if _may_mix(space):
        tried[" where inputs are mixed and labels are None"] = None
    if space.config.data.rest == "unlabelled" and not dataset.split("train").labelled.all():
        some = classes.where(torch.arange(TRIED, device=device) % 2 == 0, UNLABELLED)
        tried[f" where rows have no label, which is {UNLABELLED} then"] = some.expand(len(_WARM), TRIED)
    return tried


def _may_mix(space: Space) -> bool:
    amounts = space.config.augmentation.amounts.items()
    used = [name for name, amount in amounts if amount or ("augmentation", name) in space.ranges]
    return any(AUGMENTATIONS.get(name).mixes for name in used)


def _check_gives(name: str, loss: Loss, classes: int, labels: dict[str, Tensor | None]) -> None:
    """Try a custom loss on made-up logits with each of these labels; its own errors are reported as its fault."""
    device = next(each.device for each in labels.values() if each is not None)
    draw = torch.Generator().manual_seed(0)
    students, teachers = (torch.randn(len(_WARM), TRIED, classes, generator=draw).to(device) for _ in range(2))
    for when, these in labels.items():
        one = None if these is None else these[0]
        try:
            given: object = loss.soft_with_labels(students[0].requires_grad_(), teachers[0], _WARM[0], one)
        except Exception as error:
            if not when:
                raise
            raise ConfigError(f"loss: {name!r} raises {one_line(error)}{when}; mend it.") from error
        if what := what_is_wrong(given):
            raise ConfigError(
                f"loss: `soft` of {name!r} must give one number as a tensor, but gave {what}{when}; mend it."
            )
        if loss.over_lanes:
            _check_lanes(name, loss, students, teachers, these)


def what_is_wrong(given: object, learned: str = "the student's logits") -> str:
    """What keeps `given` from being a number to minimise with respect to `learned`; empty if it is one."""
    if not isinstance(given, Tensor):
        return f"{given!r:.60}"
    if given.dim():
        return f"numbers of shape {list(given.shape)}"
    if given.is_complex():
        return "a complex one"
    if not given.requires_grad:
        return f"one without gradient by {learned}"
    return "" if given.isfinite() else f"{given.item()} for {learned.rpartition(' ')[2]} of usual size"


def _check_lanes(name: str, loss: Any, students: Tensor, teachers: Tensor, labels: Tensor | None) -> None:
    """Compare the loss over lanes with that of each lane alone; logits are [lanes, batch, classes]."""
    lanes = zip(students, teachers, _WARM, repeat(None) if labels is None else labels, strict=False)
    alone = torch.stack([loss.soft_with_labels(*lane) for lane in lanes])
    try:
        given = loss.soft_with_labels(students, teachers, torch.tensor(_WARM, device=students.device), labels)
        is_right = isinstance(given, Tensor) and given.shape == alone.shape and torch.allclose(given, alone, rtol=1e-4)
        what = "" if is_right else "gives another thing than each lane's own number, [lanes]"
    except Exception as error:  # whatever user code raises; for one student it works
        what = f"raises {one_line(error)}"
    if what:
        raise ConfigError(
            f"loss: {name!r} says that it is `over_lanes`, but of logits [lanes, batch, classes] and temperatures "
            f"[lanes] `soft` {what}; mend it, or leave `over_lanes` out."
        )


def smallest_part(space: Space, dataset: Dataset) -> int:
    """The fewest samples that a worker sees in a step of a trial with a teacher."""
    return _part_of(num_visible(dataset), space)


def smallest_part_of_any(space: Space, dataset: Dataset) -> int:
    """Likewise with or without one: a baseline trains only on rows whose labels a student may see."""
    return _part_of(min(num_visible(dataset), int(dataset.split("train").labelled.sum())), space)


def _part_of(samples: int, space: Space) -> int:
    return min(smallest_batch(space), samples) // space.config.resources.workers_per_trial


def smallest_batch(space: Space) -> int:
    """`optim.batch_size`, or the smallest value of its range."""
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
