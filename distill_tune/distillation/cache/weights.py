"""Share the teacher's weights with workers: a safetensors file in the teacher's folder, memory-mapped when it is read.

It is written once, by the program that prepared the teacher, and only if a student of the space begins with the weights
or is held to their norm. An existing file is compared with the teacher tensor by tensor, and rewritten if they differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from distill_tune.config import Config, Space
from distill_tune.config.existing import OF_THE_TEACHERS_WEIGHTS
from distill_tune.config.messages import dotted
from distill_tune.errors import CacheError, ConfigError, TeacherError, one_line
from distill_tune.evaluation.alike import CLOSE, difference, random_samples
from distill_tune.registry import INITIALISATIONS
from distill_tune.students import Student, build_student, looked_at
from distill_tune.teachers import Teacher
from distill_tune.weights import write_weights

_NAME = "weights.safetensors"
_NORM = "norm"
"""Key in the file's metadata."""


@dataclass(frozen=True)
class TeacherWeights:
    """The weights file, opened only when something is read from it."""

    folder: Path

    @property
    def norm(self) -> float:
        """||teacher||_2 over all its parameters together.

        Raises:
            CacheError: the file is missing or damaged.
        """
        try:
            with safe_open(self.folder / _NAME, framework="pt") as file:
                return float(file.metadata()[_NORM])
        except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
            raise CacheError(f"{self.folder / _NAME}: is missing or damaged; start again.") from error

    def state(self) -> dict[str, Tensor]:
        """The teacher's state dict, sharing the file's memory.

        Raises:
            CacheError: the file is missing or damaged.
        """
        try:
            return load_file(self.folder / _NAME)
        except (OSError, SafetensorError) as error:
            raise CacheError(f"{self.folder / _NAME}: is missing or damaged; start again.") from error


def norm_of(module: nn.Module) -> float:
    """The Euclidean norm of all parameters together, summed in float64."""
    with torch.no_grad():
        return float(sum(float(p.double().square().sum()) for p in module.parameters()) ** 0.5)


def network_of(module: nn.Module) -> nn.Module:
    """The network behind the normalisation of its inputs.

    Raises:
        TeacherError: the module comes from a custom source and has no `network`.
    """
    network = getattr(module, "network", None)
    if not isinstance(network, nn.Module):
        raise TeacherError(
            f"student.init: the teacher's weights are looked for in the `network` of its module, but the module that "
            f"its source has loaded ({type(module).__name__}) has none; load one of "
            "distill_tune.students:behind_normalisation, or choose another init."
        )
    return network


def key_that_needs_weights(space: Space) -> str | None:
    """The key of the space that requires the teacher's weights; None if none does."""
    for name in space.inits:
        if INITIALISATIONS.get(name).needs_teacher:
            return f"student.init: {name!r}"
    for path in OF_THE_TEACHERS_WEIGHTS:
        section, key = path
        if path in space.ranges or getattr(getattr(space.config, section), key) is not None:
            return dotted(path)
    return None


def refuse_without_weights(space: Space) -> None:
    """Refuse a space that requires the weights of a teacher that has only logits, can only be called, or is several.

    Raises:
        ConfigError: it requires them.
    """
    if key := key_that_needs_weights(space):
        colon, name = "" if ":" in key else ":", space.config.teacher.source
        has, cure = _why_no_weights(Teacher.of(space.config.teacher))
        raise ConfigError(
            f"{key}{colon} needs the teacher's weights, but source = {name!r} {has}; name {cure}, or leave it out."
        )


def _why_no_weights(source: Teacher) -> tuple[str, str]:
    """What a source has instead of weights, and what to name in its place."""
    if source.member_configs():
        return "is several teachers", "one teacher that can run"
    if source.has_network:
        return "gives a network that can only be called", "a teacher that PyTorch can read"
    return "has only logits", "a teacher that can run"


def leave_weights(folder: Path, space: Space, teacher: nn.Module) -> None:
    """Write the teacher's weights to its folder if a training of the space requires them."""
    if key_that_needs_weights(space) is None:
        return
    if not _is_kept(folder, teacher.state_dict()):
        write_weights(folder / _NAME, teacher.state_dict(), {_NORM: repr(norm_of(teacher))})


def check_fits(config: Config, input_shape: tuple[int, ...], classes: int, teacher: nn.Module) -> None:
    """Check that the weights are those of `teacher.family` and make the same network; always so if trained here.

    Raises:
        TeacherError: they are not, or do not.
    """
    network_of(teacher)
    whose = f"{config.teacher.family!r} with the options of its table"
    try:
        ours = looked_at(lambda: build_student(Student.of(config.teacher), input_shape, classes))
        ours.load_state_dict(teacher.state_dict(), assign=True)
    except RuntimeError as error:
        raise TeacherError(
            f"teacher.family: the teacher's weights are not those of {whose} ({one_line(error)}); set both to what the "
            "teacher is."
        ) from error
    samples = random_samples(input_shape)
    if len(input_shape) == 3:  # images, whose stored units both normalise
        samples = (127.5 + 64 * samples).clamp(0, 255)
    if (found := difference(ours.eval(), teacher, samples)) > CLOSE:
        raise TeacherError(
            f"teacher.family: the teacher's weights fit {whose}, but its logits differ from the teacher's by "
            f"{found:.2g}, as with another activation, stride or order of classes; set both to what the teacher is."
        )


def _is_kept(folder: Path, state: dict[str, Tensor]) -> bool:
    try:
        kept = load_file(folder / _NAME)
    except (OSError, SafetensorError):
        return False
    return kept.keys() == state.keys() and all(torch.equal(kept[name], state[name].cpu()) for name in kept)
