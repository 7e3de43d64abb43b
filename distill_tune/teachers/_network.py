"""What sources with a network share: the normalisation in front of it, and the order of its classes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from distill_tune.config.messages import named_apart
from distill_tune.errors import TeacherError
from distill_tune.teachers._base import DataSpec, LoadedTeacher, Teacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


class NetworkTeacher(Teacher):
    """A source that makes a network, which may read images in its own units and have its classes in its own order."""

    mean: list[float] | None = None
    """With `std`: the teacher's own normalisation of pixels divided by 255, one number per channel. Without: its inputs
    are normalised by the training data's mean and deviation, like a student's."""
    std: list[float] | None = None
    classes: list[str] | None = None
    """The data's class names in the order of the teacher's outputs; None: the data's own order."""

    @property
    def options_as_text(self) -> str:
        """The options as text, for `identity`; as in versions without `classes` if these are not given."""
        return self.model_dump_json(exclude={"classes"} if self.classes is None else None)

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

    def order(self, data_spec: DataSpec) -> list[int]:
        """For each of the data's classes, the place of its logit among the teacher's outputs.

        Raises:
            TeacherError: `classes` are not the data's.
        """
        if (theirs := self.classes) is None:
            return list(range(len(data_spec.classes)))
        lacking, further = Counter(data_spec.classes) - Counter(theirs), Counter(theirs) - Counter(data_spec.classes)
        if lacking or further:
            wrong = {"lacks": lacking, "also names": further}
            told = [f"{verb} {named_apart(list(names.elements()))}" for verb, names in wrong.items() if names]
            raise TeacherError(
                f"{self.table}.classes: must name each of the data's {len(data_spec.classes)} classes "
                f"({named_apart(data_spec.classes)}) once, in the order of the teacher's outputs, but "
                f"{' and '.join(told)}."
            )
        return [theirs.index(name) for name in data_spec.classes]

    @property
    def table(self) -> str:
        """Name of the table of its options, for errors."""
        return f"teacher.{type(self).__module__.rpartition('.')[2]}"

    def ready(
        self,
        network: nn.Module,
        data_spec: DataSpec,
        units: tuple[Sequence[float], Sequence[float]] | None = None,
        order: list[int] | None = None,
    ) -> LoadedTeacher:
        """The network as a teacher: normalised inputs, the data's order of classes, frozen, tried on two samples.

        Args:
            network: from normalised inputs to its own outputs.
            data_spec: the data that it must fit.
            units: mean and deviation in stored units, if not those of `normalisation`. If they have several channels,
                single-channel images are broadcast to as many.
            order: of its outputs, if not that of `classes`.

        Raises:
            TeacherError: it does not fit the data.
        """
        from distill_tune.evaluation.mode import put_in_evaluation
        from distill_tune.students import behind_normalisation
        from distill_tune.teachers._order import put_in_order
        from distill_tune.teachers.probabilities import are_logarithms
        from distill_tune.teachers.trial_run import try_two

        mean, std = units or self.normalisation(data_spec)
        order = order or self.order(data_spec)
        shape = (len(mean) or data_spec.input_shape[0], *data_spec.input_shape[1:])
        module = put_in_evaluation(behind_normalisation(network, shape, mean, std)).requires_grad_(False)
        if are_logarithms(try_two(module, data_spec, self.table).float().numpy()):
            module.register_forward_hook(_less_their_mean)
        if order != sorted(order):
            put_in_order(module, order, data_spec.input_shape)
        return LoadedTeacher(parameters=sum(p.numel() for p in network.parameters()), module=module)


def _less_their_mean(module: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
    """Log-probabilities, such as the outputs of a log-softmax, as logits; see `_foreign.py`."""
    from distill_tune.teachers.mixing import centred

    return centred(outputs)
