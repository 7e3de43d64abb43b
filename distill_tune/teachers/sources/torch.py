"""A PyTorch teacher: a factory by dotted path, and its weights as safetensors or as a state dict.

Weights are read without running code of the file: safetensors, or `torch.load(weights_only=True)`.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.errors import ConfigError, TeacherError
from distill_tune.registry import TEACHERS, load_dotted
from distill_tune.teachers._base import LoadedTeacher, Pupils, Teacher, Workshop

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config.sections import TeacherConfig


@TEACHERS.register
class Torch(Teacher):
    """`[teacher] source = "torch", path = "weights.safetensors"` and `[teacher.torch] factory = "my_models:build"`."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    factory: str
    """Dotted path of a function without arguments that makes the network."""
    arguments: dict[str, Any] = {}
    """Keyword arguments of the factory."""
    mean: list[float] | None = None
    """With `std`: the teacher's own normalisation of images, of pixels divided by 255, one number a channel."""
    std: list[float] | None = None

    def identity(self, config: TeacherConfig, pupils: Pupils) -> str:
        """The weights' checksum, the factory's source and the options."""
        from distill_tune.checksum import sha256_of

        factory = self._factory()
        try:
            source = inspect.getsource(factory)
        except (OSError, TypeError):
            source = self.factory
        return f"{sha256_of(_weights_path(config))} {source} {self.model_dump_json()}"

    def load(self, config: TeacherConfig, pupils: Pupils, workshop: Workshop) -> LoadedTeacher:
        """Build the network, fill it, put its normalisation in front, and try one sample."""
        import torch

        network = self._factory()(**self.arguments)
        if not isinstance(network, torch.nn.Module):
            raise TeacherError(
                f"teacher.torch.factory: {self.factory!r} must return a torch.nn.Module, but returned {type(network).__name__}."
            )
        _fill(network, _weights_path(config))
        module = self._with_normalisation(network, pupils).eval().requires_grad_(False)
        _try(module, pupils)
        return LoadedTeacher(parameters=sum(p.numel() for p in network.parameters()), module=module)

    def _factory(self) -> Any:
        if ":" not in self.factory:
            raise TeacherError(f"teacher.torch.factory: must be 'package.module:function', but got {self.factory!r}.")
        try:
            factory = load_dotted(self.factory)
        except ConfigError as error:
            raise TeacherError(f"teacher.torch.factory: {error}") from error
        if not callable(factory):
            raise TeacherError(
                f"teacher.torch.factory: {self.factory!r} must be a function, but is {type(factory).__name__}."
            )
        return factory

    def _with_normalisation(self, network: nn.Module, pupils: Pupils) -> nn.Module:
        from distill_tune.students import behind_normalisation

        if (self.mean is None) != (self.std is None):
            raise TeacherError("teacher.torch: mean and std belong together; give both or neither.")
        if self.mean is None or self.std is None:
            return behind_normalisation(network, pupils.input_shape, pupils.mean, pupils.std)
        own = [[255 * value for value in values] for values in (self.mean, self.std)]
        return behind_normalisation(network, pupils.input_shape, *own)


def _weights_path(config: TeacherConfig) -> Path:
    assert config.path is not None, "this source needs it"
    path = Path(config.path)
    if not path.is_file():
        raise TeacherError(f"teacher.path: no file {config.path!r}.")
    return path


def _fill(network: nn.Module, path: Path) -> None:
    weights = _read_weights(path)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise TeacherError(
            f"teacher.path: the weights of {path.name!r} do not fit the factory's network ({first})."
        ) from error


def _read_weights(path: Path) -> dict[str, Any]:
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        first = str(error).splitlines()[0][:200]
        raise TeacherError(
            f"teacher.path: {path.name!r} is no safetensors file or state dict of tensors ({first})."
        ) from error
    if not isinstance(weights, dict):
        raise TeacherError(f"teacher.path: {path.name!r} must hold a state dict, but holds a {type(weights).__name__}.")
    return weights


def _try(module: nn.Module, pupils: Pupils) -> None:
    import torch

    try:
        with torch.inference_mode():
            logits = module(torch.zeros(2, *pupils.input_shape))
    except RuntimeError as error:
        first = str(error).splitlines()[0][:200]
        raise TeacherError(f"teacher.torch: cannot take inputs of shape {pupils.input_shape} ({first}).") from error
    if logits.shape != (2, len(pupils.classes)):
        raise TeacherError(
            f"teacher.torch: must return logits [batch, {len(pupils.classes)}] for the {len(pupils.classes)} classes of "
            f"the data, but returned {list(logits.shape)}."
        )
