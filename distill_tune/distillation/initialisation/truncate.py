"""Copy the teacher's first layers unchanged, and leave everything after them new.

Sanh et al. 2019, "DistilBERT" (https://arxiv.org/abs/1910.01108) initialised a student from layers of its teacher; that
early layers are the most general is Yosinski et al. 2014 (https://arxiv.org/abs/1411.1792). Layers are the places of a
family's wiring: its stem, if it has one, then its blocks. If a family declares no wiring, they are the blocks of
`_named_blocks.py`, whose names must occur among the teacher's weights too, as they do in timm's and Hugging Face's
networks of one kind but different depth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from distill_tune.distillation.initialisation._base import Initialisation, Shapes, check_family
from distill_tune.distillation.initialisation._counterparts import first_layers, first_shapes
from distill_tune.distillation.initialisation._declared_wiring import declared_wiring, declares_wiring, wiring_of
from distill_tune.distillation.initialisation._truncated_options import way_to_fit
from distill_tune.errors import ConfigError, TeacherError
from distill_tune.registry import INITIALISATIONS
from distill_tune.students import Student, empty_network

if TYPE_CHECKING:
    from torch import Tensor, nn

    from distill_tune.config import Config
    from distill_tune.distillation.materials.materials import Materials


@INITIALISATIONS.register
class Truncate(Initialisation):
    """For students whose first layers have the shapes of the teacher's."""

    needs_teacher: ClassVar[bool] = True
    layers: int = Field(1, ge=1)
    """Number of the teacher's first layers to copy.

    No range is shipped: how many fit depends on the two networks, and a space that asks for more is refused.
    """

    def check(self, config: Config, shapes: Shapes) -> None:
        """Check that the student's first layers have the shapes of the teacher's."""
        if not _declares_wiring(config):
            self._check_blocks(config, shapes)
            return
        check_family(config)
        name = config.student.family
        ours = first_shapes(declared_wiring(Student.of(config.student), name, shapes))
        theirs = first_shapes(declared_wiring(Student.of(config.teacher), name, shapes, "teacher"))
        if self.layers > (most := min(len(theirs), len(ours))):
            raise ConfigError(
                f"student.truncate.layers: must be at most {most} (the teacher has {len(theirs)} layers, the student "
                f"{len(ours)}), but got {self.layers}."
            )
        if theirs[: self.layers] != ours[: self.layers]:
            raise ConfigError(self._refusal(config, shapes))

    def _check_blocks(self, config: Config, shapes: Shapes) -> None:
        student = _built(Student.of(config.student), shapes)
        self._check_number(student, config.student.family)
        if config.teacher.family is not None:  # checked before a teacher is trained for nothing
            self._compare(student, _built(Student.of(config.teacher), shapes).state_dict())

    def _check_number(self, student: nn.Module, family: str) -> None:
        from distill_tune.distillation.initialisation._named_blocks import number_of_blocks

        if self.layers > (most := number_of_blocks(student)):
            raise ConfigError(
                f"student.truncate.layers: must be at most {most}, the blocks that {family!r} has before its head, but "
                f"got {self.layers}."
            )

    def reads_family(self, config: Config) -> bool:
        """Without a wiring, blocks are matched by name, whatever the rest of the network."""
        return _declares_wiring(config)

    def check_weights(self, config: Config, shapes: Shapes, teacher: nn.Module) -> None:
        """Without a wiring, check that the teacher has the weights of the student's first blocks, by name and shape."""
        if _declares_wiring(config):
            super().check_weights(config, shapes, teacher)
            return
        from distill_tune.distillation.cache.weights import network_of
        from distill_tune.distillation.initialisation._reading import check_reading

        check_reading(config.student.init, shapes.input_shape, teacher)
        self._compare(_built(Student.of(config.student), shapes), network_of(teacher).state_dict())

    def _compare(self, student: nn.Module, theirs: dict[str, Tensor]) -> None:
        for name, tensor in self._first_blocks(student).items():
            found = theirs.get(name)
            if found is None or found.shape != tensor.shape:
                has = "no such weight" if found is None else f"it as {list(found.shape)}"
                raise TeacherError(
                    f"student.init: 'truncate' takes {name!r} {list(tensor.shape)} of the teacher, which has {has}; "
                    "build both by the same code with the same widths, or lower student.truncate.layers."
                )

    def _first_blocks(self, network: nn.Module) -> dict[str, Tensor]:
        from distill_tune.distillation.initialisation._named_blocks import entries_of_first

        state = network.state_dict()
        return {name: state[name] for name in entries_of_first(network, self.layers)}

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> None:
        """Copy the first layers, batch statistics included, and the normalisation of the teacher's inputs.

        Raises:
            InputError: the student cannot begin this way; not every student of a large space was checked beforehand.
        """
        from distill_tune.distillation.cache.weights import network_of
        from distill_tune.distillation.initialisation._reading import read_as_the_teacher

        read_as_the_teacher(student, materials)
        copy = self._copy_layers if _declares_wiring(config) else self._copy_blocks
        copy(network_of(student), config, materials)

    def _copy_layers(self, student: nn.Module, config: Config, materials: Materials) -> None:
        from distill_tune.distillation.cache.weights import network_of
        from distill_tune.distillation.initialisation._teacher import teacher_network

        self.check(config, Shapes.of(materials.dataset))
        theirs = first_layers(wiring_of(config.teacher, network_of(teacher_network(config, materials))))
        ours = first_layers(wiring_of(config.student, student))
        for their_layer, our_layer in zip(theirs[: self.layers], ours[: self.layers], strict=True):
            for their_module, our_module in zip(their_layer, our_layer, strict=True):
                our_module.load_state_dict(their_module.state_dict())

    def _copy_blocks(self, student: nn.Module, config: Config, materials: Materials) -> None:
        assert materials.teacher_weights is not None, "prepared for a space that needs them"
        state, prefix = materials.teacher_weights.state(), "network."
        theirs = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        self._check_number(student, config.student.family)
        self._compare(student, theirs)
        for name, tensor in self._first_blocks(student).items():
            tensor.copy_(theirs[name])

    def _refusal(self, config: Config, shapes: Shapes) -> str:
        layers = "first layer as it is" if self.layers == 1 else f"first {self.layers} layers as they are"
        return (
            f"student.init: 'truncate' takes the teacher's {layers}, but the student's look otherwise; "
            f"{way_to_fit(config, shapes, self.layers)}."
        )


def _declares_wiring(config: Config) -> bool:
    return declares_wiring(type(Student.of(config.student)))


def _built(family: Student, shapes: Shapes) -> nn.Module:
    return empty_network(family, shapes.input_shape, shapes.classes)
