"""A teacher network of timm (https://github.com/huggingface/pytorch-image-models): a name, and weights from a file.

timm reads .safetensors and state dicts without running code from the file. Nothing is downloaded: timm's pretrained
weights were trained on classes other than those of the data.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from distill_tune.config.messages import named_apart
from distill_tune.errors import TeacherError, one_line
from distill_tune.optional import imported
from distill_tune.registry import TEACHERS, did_you_mean
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext, existing_file
from distill_tune.teachers._network import NetworkTeacher

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config.sections import TeacherConfig


@TEACHERS.register
class Timm(NetworkTeacher):
    """`[teacher] source = "timm", path = "weights.safetensors"` and `[teacher.timm] model = "resnet18"`."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    ignores: ClassVar[tuple[str, ...]] = ("trust",)
    model: str
    """Name of the network, as in `timm.list_models()`."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of `timm.create_model`, besides `in_chans` and `num_classes`, which the data set."""

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The weights' checksum, the options, and timm's version, which builds the network."""
        from distill_tune.checksum import sha256_of

        timm = _timm()
        self._check_name(timm)
        return f"{sha256_of(existing_file(config))} {self.options_as_text} {timm.__version__}"

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """Build the network, load its weights, put its normalisation in front, and try two samples."""
        timm = _timm()
        self._check_name(timm)
        self.normalisation(data_spec)  # refused before the network is built
        if told := self._told_of_order(data_spec.classes):
            context.say(f"teacher: {told}")
        return self.ready(self._network(timm, existing_file(config), data_spec), data_spec)

    def _told_of_order(self, classes: tuple[str, ...]) -> str:
        """That timm's reader of folders numbers these classes otherwise; empty if not, or if `classes` are given."""
        theirs = sorted(classes, key=_natural)
        if self.classes is not None or theirs == list(classes):
            return ""
        return (
            f"the data's classes are in the order {named_apart(classes)}, but timm's reader of folders takes them as "
            f"{named_apart(theirs)}; if it was trained that way, name them in that order in teacher.timm.classes"
        )

    def _check_name(self, timm: Any) -> None:
        if not timm.is_model(self.model):
            near = did_you_mean(self.model.split(".")[0], timm.list_models()).split(" Known:")[0]
            raise TeacherError(f"teacher.timm.model: timm {timm.__version__} has no {self.model!r}.{near}")

    def _network(self, timm: Any, path: Path, data_spec: DataSpec) -> nn.Module:
        if len(data_spec.input_shape) != 3:
            raise TeacherError("teacher.source: timm's networks read images, but the data are rows of a table.")
        given = {"in_chans": data_spec.input_shape[0], "num_classes": len(data_spec.classes)} | self.arguments
        try:
            network: nn.Module = timm.create_model(self.model, checkpoint_path=str(path), **given)
        except Exception as error:  # from torch, safetensors, the file or the network itself
            raise TeacherError(
                f"teacher.path: timm cannot make {self.model!r} of {path.name!r} with {given} ({one_line(error)})."
            ) from error
        return network


def _natural(name: str) -> list[int | str]:
    """The key by which timm's readers sort classes: "2" before "10", and no difference of capitals."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.lower())]


def _timm() -> Any:
    return imported("timm", "teacher.source: 'timm'", TeacherError, oldest="1.0.31")  # unpickles nothing
