"""Copies the weights of a Keras model into an equivalent network of ours, so that a student can start from them.

Layers with weights are taken in order: Dense kernels [inputs, outputs] and convolutions [height, width, inputs,
outputs] are transposed to PyTorch's [outputs, inputs, ...]. The two networks are verified to agree by comparing their
logits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from distill_tune.errors import TeacherError, one_line
from distill_tune.evaluation.alike import CLOSE, difference, random_samples
from distill_tune.students import Student
from distill_tune.teachers._base import DataSpec
from distill_tune.teachers._keras import KerasNetwork, import_keras

if TYPE_CHECKING:
    from distill_tune.config.sections import TeacherConfig


def as_family(network: KerasNetwork, config: TeacherConfig, data_spec: DataSpec) -> nn.Module:
    """The network of `teacher.family` with the weights of a Keras model.

    Raises:
        TeacherError: the two have different architectures.
    """
    ours = Student.of(config).build(data_spec.input_shape, len(data_spec.classes)).eval()
    try:
        _fill(ours, list(_layers(network.model)))
        found = difference(ours, network, random_samples(data_spec.input_shape))
    except (RuntimeError, ValueError) as error:
        raise TeacherError(
            f"{_not_alike(config)} ({one_line(error)}); set both to what it is, or leave them out."
        ) from error
    if found > CLOSE:
        raise TeacherError(
            f"{_not_alike(config)}: with the same weights their logits differ by {found:.2g}; set both to what it "
            "is, or leave them out."
        )
    return ours


def _not_alike(config: TeacherConfig) -> str:
    return f"teacher.family: the Keras model is not built like {config.family!r} with the options of its table"


def _layers(model: Any) -> Iterator[Any]:
    """The layers that have weights, in order, including those of nested models."""
    keras = import_keras()
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        elif layer.weights:
            yield layer


def _fill(network: nn.Module, layers: list[Any]) -> None:
    own = [module for module in network.modules() if next(module.parameters(recurse=False), None) is not None]
    for module, layer in zip(own, layers, strict=True):
        module.load_state_dict(_state(module, layer), strict=False)


def _state(module: nn.Module, layer: Any) -> dict[str, Tensor]:
    """A module's state dict from the weights of a Keras layer.

    Raises:
        ValueError: the two are of different kinds.
    """
    kind = type(layer).__name__
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and kind == "BatchNormalization":
        return _normalisation(module, layer)
    weights = [_tensor(variable) for variable in layer.weights]
    if isinstance(module, nn.Linear) and kind == "Dense":
        weights[0] = weights[0].T
    elif isinstance(module, nn.Conv2d) and module.groups == 1 and kind == "Conv2D":
        weights[0] = weights[0].permute(3, 2, 0, 1)
    else:
        raise ValueError(f"its layer {layer.name!r} is a {kind}, where a {type(module).__name__} is expected")
    return dict(zip(("weight", "bias"), weights, strict=False))


def _normalisation(module: nn.BatchNorm1d | nn.BatchNorm2d, layer: Any) -> dict[str, Tensor]:
    """A batch normalisation's state dict; Keras has no gamma with `scale = False`, no beta with `center = False`."""
    mean, variance = _tensor(layer.moving_mean), _tensor(layer.moving_variance)
    return {
        "weight": torch.ones_like(mean) if layer.gamma is None else _tensor(layer.gamma),
        "bias": torch.zeros_like(mean) if layer.beta is None else _tensor(layer.beta),
        "running_mean": mean,
        "running_var": variance + (layer.epsilon - module.eps),  # epsilon is added to the variance before the root
    }


def _tensor(variable: Any) -> Tensor:
    return torch.as_tensor(variable.numpy())
