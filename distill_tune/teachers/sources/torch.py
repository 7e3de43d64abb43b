"""A PyTorch teacher: a factory's dotted path, and weights as safetensors, a state dict or a checkpoint with one.

Weights are read as safetensors, or by `torch.load(weights_only=True)`: no code from the file runs unless
`teacher.trust` allows it, in which case the file may hold the whole network.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from distill_tune.errors import ConfigError, TeacherError, one_line
from distill_tune.registry import TEACHERS, load_dotted
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext, existing_file
from distill_tune.teachers._network import NetworkTeacher
from distill_tune.users_code import source_of

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config.sections import TeacherConfig


_INSIDE = ("state_dict", "model_state_dict", "model")
"""Keys under which a training script's checkpoint keeps its state dict, next to optimizer, epoch and the like."""
_AROUND = ("module.", "_orig_mod.")
"""Prefixes that `DataParallel` and `torch.compile` add to each name."""
_OF_A_PROGRAM = "write it as ONNX, or, if it is the student of a search, name its folder with teacher.source = 'result'"


@TEACHERS.register
class Torch(NetworkTeacher):
    """`[teacher] source = "torch", path = "weights.safetensors"` and `[teacher.torch] factory = "my_models:build"`."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    factory: str
    """Dotted path of a function that makes the network."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the factory."""

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        """The weights' checksum, the factory's source code, and the options."""
        from distill_tune.checksum import sha256_of

        return f"{sha256_of(existing_file(config))} {source_of(self._factory())} {self.options_as_text}"

    def network_parts(self, config: TeacherConfig) -> list[str]:
        """The factory, in whose module the network's class is expected."""
        return [self.factory]

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        """Build the network, load its weights, put its normalisation in front, and try two samples."""
        self.normalisation(data_spec)  # refused before the network is built
        network = self._network()
        _fill(network, existing_file(config), config.trust)
        return self.ready(network, data_spec)

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

    def _network(self) -> nn.Module:
        import torch

        try:
            network = self._factory()(**self.arguments)
        except TeacherError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's function raises
            raise TeacherError(
                f"teacher.torch.factory: {self.factory!r} failed with arguments {self.arguments} ({one_line(error)}); "
                "mend it or teacher.torch.arguments."
            ) from error
        if not isinstance(network, torch.nn.Module):
            raise TeacherError(
                f"teacher.torch.factory: {self.factory!r} must return a torch.nn.Module, but returned "
                f"{type(network).__name__}."
            )
        return network


def _fill(network: nn.Module, path: Path, trust: bool) -> None:
    weights = _read_weights(path, trust)
    try:
        network.load_state_dict(_without_wrappers(weights, network))
    except Exception as error:  # RuntimeError if names or shapes differ, anything if it is not a state dict
        raise TeacherError(
            f"teacher.path: the weights of {path.name!r} do not fit the factory's network ({one_line(error)}); give "
            "the state_dict() of such a network, or mend teacher.torch.arguments."
        ) from error


def _read_weights(path: Path, trust: bool) -> dict[str, Any]:
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*looks like a TorchScript archive", UserWarning)  # refused below
            weights = torch.load(path, map_location="cpu", weights_only=not trust)
    except Exception as error:  # safetensors, zipfile and the unpickler each have errors of their own
        what, cure = one_line(error), "write it again"
        if isinstance(error, UnpicklingError):  # PyTorch's own advice fills a page
            what = what.partition(". ")[0]
        if path.suffix == ".pt2":
            what, cure = "a program of torch.export", _OF_A_PROGRAM
        elif path.suffix == ".onnx":
            cure = "name it with teacher.source = 'onnx'"
        elif "TorchScript" in str(error):
            what, cure = "a TorchScript archive", "give the state_dict() of what it was made of, or write it as ONNX"
        elif isinstance(error, UnpicklingError) and not trust:
            cure = "save the state_dict() alone, or let teacher.trust = true read any pickle, which may run its code"
        raise TeacherError(
            f"teacher.path: {path.name!r} is no safetensors file or state dict of tensors ({what}); {cure}."
        ) from error
    weights = _state_dict_in(weights)
    if not isinstance(weights, dict):
        raise TeacherError(
            f"teacher.path: {path.name!r} must hold a state dict, but holds a {type(weights).__name__}; "
            "save network.state_dict()."
        )
    return weights


def _state_dict_in(found: Any) -> Any:
    """The state dict in what a file holds: a checkpoint, a whole network, or the state dict itself."""
    from torch import nn

    if isinstance(found, dict):
        inside = (found[key] for key in _INSIDE if isinstance(found.get(key), dict | nn.Module))
        found = next(inside, found)
    return found.state_dict() if isinstance(found, nn.Module) else found


def _without_wrappers(weights: dict[str, Any], network: nn.Module) -> dict[str, Any]:
    """The weights under the names of the bare network."""
    own = network.state_dict()
    while weights and all(str(name).startswith(_AROUND) and name not in own for name in weights):
        weights = {name.partition(".")[2]: value for name, value in weights.items()}
    return weights
