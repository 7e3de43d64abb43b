"""What sources with a network share: the normalisation in front of it, and a trial run on two samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill_tune.errors import TeacherError, one_line
from distill_tune.teachers._base import DataSpec, LoadedTeacher, Teacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


class NetworkTeacher(Teacher):
    """A source that makes a network, which may read images in its own units."""

    mean: list[float] | None = None
    """With `std`: the teacher's own normalisation of pixels divided by 255, one number per channel. Without: its inputs
    are normalised by the training data's mean and deviation, like a student's."""
    std: list[float] | None = None

    def normalisation(self, data_spec: DataSpec) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and deviation of each channel, in stored units.

        Raises:
            TeacherError: they do not fit the data.
        """
        if self.mean is None and self.std is None:
            return data_spec.mean, data_spec.std
        channels = data_spec.input_shape[0]
        if len(data_spec.input_shape) != 3:
            raise TeacherError(f"{self.table}.mean: is for images; the features of a table are standardised already.")
        if self.mean is None or self.std is None or not len(self.mean) == len(self.std) == channels:
            raise TeacherError(
                f"{self.table}.mean: mean and std belong together, {channels} number{'s' * (channels > 1)} each for "
                f"these images, but got mean = {self.mean} and std = {self.std}."
            )
        if min(self.std) <= 0:
            raise TeacherError(f"{self.table}.std: must be greater than 0, but got {self.std}.")
        return [255 * value for value in self.mean], [255 * value for value in self.std]

    @property
    def table(self) -> str:
        """Name of the table of its options, for errors."""
        return f"teacher.{type(self).__module__.rpartition('.')[2]}"

    def ready(
        self, network: nn.Module, data_spec: DataSpec, units: tuple[Sequence[float], Sequence[float]] | None = None
    ) -> LoadedTeacher:
        """The network as a teacher: with its normalisation in front, frozen, in eval mode, and tried on two samples.

        `units`: mean and deviation in stored units, if not those of `normalisation`. If they have several channels,
        single-channel images are broadcast to as many.

        Raises:
            TeacherError: it does not fit the data.
        """
        from distill_tune.students import behind_normalisation
        from distill_tune.teachers.probabilities import are_logarithms

        mean, std = units or self.normalisation(data_spec)
        shape = (len(mean) or data_spec.input_shape[0], *data_spec.input_shape[1:])
        module = behind_normalisation(network, shape, mean, std).eval().requires_grad_(False)
        if are_logarithms(try_two(module, data_spec, self.table).float().numpy()):
            module.register_forward_hook(_less_their_mean)
        return LoadedTeacher(parameters=sum(p.numel() for p in network.parameters()), module=module)


def _less_their_mean(module: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
    """Log-probabilities, such as the outputs of a log-softmax, as logits; see `_foreign.py`."""
    from distill_tune.teachers.mixing import centred

    return centred(outputs)


def try_two(module: nn.Module, data_spec: DataSpec, table: str) -> Tensor:
    """Run two samples through a network and return their logits.

    Raises:
        TeacherError: it cannot take them, or does not return logits for the data's classes.
    """
    import torch

    try:
        with torch.inference_mode():
            logits = module(torch.zeros(2, *data_spec.input_shape))
    except TeacherError:
        raise
    except Exception as error:  # whatever the user's network raises
        raise TeacherError(
            f"{table}: the network cannot take inputs of shape {data_spec.input_shape} ({one_line(error)}); name "
            "a teacher for such data."
        ) from error
    classes = len(data_spec.classes)
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        got = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise TeacherError(
            f"{table}: the network must return logits [batch, {classes}] for the {classes} classes of the data, "
            f"but returned {got} for a batch of 2."
        )
    return logits
