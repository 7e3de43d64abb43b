"""Compute a teacher's logits, some samples at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill_tune.distillation.cache.seen import as_tensor
from distill_tune.distillation.devices import in_parts
from distill_tune.distillation.views import Views
from distill_tune.errors import TeacherError
from distill_tune.evaluation.portions import MOST, device_of, samples_at_a_time
from distill_tune.teachers import LoadedTeacher
from distill_tune.teachers.mixing import Mix


class Runner:
    """Runs a teacher over portions of inputs; this class does so in this process, on the teacher's device."""

    def at_a_time(self, module: nn.Module, sample_shape: Sequence[int]) -> int:
        """Number of samples of this shape in a portion."""
        return at_a_time(module, sample_shape)

    def device(self, module: nn.Module) -> torch.device:
        """The device on which portions are read."""
        return device_of(module)

    def run(self, module: nn.Module, portions: Iterable[Tensor]) -> Iterator[Tensor]:
        """float32 [portion, classes] for each portion, in order, on the CPU.

        Raises:
            TeacherError: a logit is not finite.
        """
        return (labelled(module, portion) for portion in portions)


def label_view(
    teacher: LoadedTeacher,
    views: Views,
    view: int,
    source_rows: np.ndarray,
    seen: Callable[[int], None],
    runner: Runner,
) -> Iterator[Tensor]:
    """float32 [portion, classes]: the teacher's logits for one view of the samples at `source_rows` [n] of the source.

    Raises:
        TeacherError: a logit is not finite.
    """
    positions, module = torch.arange(len(source_rows)), teacher.module
    if teacher.table is not None:
        table, parts = teacher.table, positions.split(MOST)
        found: Iterator[Tensor] = (torch.from_numpy(np.asarray(table[source_rows[part.numpy()]])) for part in parts)
    else:
        assert module is not None
        portions = positions.split(runner.at_a_time(module, views.sample_shape))
        where = views.place_for(runner.device(module))
        found = runner.run(module, (views.take(portion, view, where).inputs for portion in portions))
    for logits in found:
        yield logits
        seen(len(logits))


def label_inputs(teacher: LoadedTeacher, inputs: np.ndarray, source_rows: np.ndarray) -> np.ndarray:
    """float32 [n, classes]: the teacher's logits for inputs without augmentation.

    Raises:
        TeacherError: a logit is not finite.
    """
    if teacher.mix is not None:
        parts = (slice(start, start + MOST) for start in range(0, max(1, len(inputs)), MOST))
        return np.concatenate([_mixed(teacher, teacher.mix, inputs[part], source_rows[part]) for part in parts])
    if teacher.table is not None:
        return np.asarray(teacher.table[source_rows])
    assert teacher.module is not None
    runner = Runner()
    portions = as_tensor(inputs).split(runner.at_a_time(teacher.module, inputs.shape[1:]))
    return np.concatenate([logits.numpy() for logits in runner.run(teacher.module, portions)])


def _mixed(teacher: LoadedTeacher, mix: Mix, inputs: np.ndarray, source_rows: np.ndarray) -> np.ndarray:
    """As `label_inputs`, for a portion: the logits of all members are in memory at once."""
    logits = {name: label_inputs(teacher.members[name], inputs, source_rows) for name in mix.weights}
    return np.asarray(mix.of({name: torch.from_numpy(each) for name, each in logits.items()}).numpy())


def at_a_time(module: nn.Module, sample_shape: Sequence[int], device: str | None = None) -> int:
    """Samples of this shape that a teacher runs at once on its device.

    It may resize them to larger images first; and if it takes only batches of one size, these are whole.
    """
    made: list[Any] = [getattr(part, "reads", None) for part in module.modules()]
    shapes = [sample_shape, *(shape for shape in made if isinstance(shape, tuple))]
    return in_whole_batches(module, samples_at_a_time(max(shapes, key=prod), device or device_of(module).type))


def in_whole_batches(module: nn.Module, samples: int) -> int:
    """The next number of samples that a teacher runs without filling up a batch, if it takes only those of one size."""
    sizes: list[Any] = [getattr(part, "fixed_batch", None) for part in module.modules()]
    size = max((size for size in sizes if isinstance(size, int)), default=1)
    return -(-samples // size) * size


def labelled(module: nn.Module, portion: Tensor) -> Tensor:
    """As `logits_of`; in parts, if a GPU is short of memory for the whole portion."""
    return torch.cat(in_parts(partial(logits_of, module), portion))


@torch.inference_mode()
def logits_of(module: nn.Module, inputs: Tensor) -> Tensor:
    """float32 [portion, classes] on the CPU: logits for inputs in stored units, computed on the module's device.

    Raises:
        TeacherError: a logit is not finite.
    """
    its_own = inputs.to(device_of(module), copy=True)  # a custom module may write into a mapped file
    made: Tensor = module(its_own).to("cpu", torch.float32, copy=True)  # the next portion's may overwrite them
    logits = made if made.dim() > 1 else made.unsqueeze(0)  # a `squeeze()` drops the axis of a single sample
    if not logits.isfinite().all():
        raise TeacherError("teacher: one of its logits is not a finite number; check its weights and its input range.")
    return logits
