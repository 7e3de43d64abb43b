"""Match inherited layers' pre-activations to the teacher's on some training samples: variance per layer, mean per unit.

Layers are corrected in the order in which they run, so each sees the outputs of those corrected before it. Layers
without a bias are followed by batch normalisation, whose statistics are recomputed at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from distill_tune.distillation.initialisation._carrying import Carried, Pair, weight_of
from distill_tune.errors import ConfigError
from distill_tune.evaluation.portions import device_of
from distill_tune.students import Layer

_SAMPLES = 512
"""Enough for the variance of a layer, in a forward pass that costs less than an epoch of the smallest data."""
_FEWEST_SAMPLES, _MOST_VALUES = 32, 1 << 23
"""Large images get fewer samples: a wide layer outputs twenty times as many numbers for each."""


@torch.no_grad()
def match_teacher(carried: Carried, teacher: nn.Module, student: nn.Module, inputs: Tensor) -> None:
    """Correct the student's inherited layers in place.

    Args:
        carried: the layers and units that have been carried over.
        teacher: in eval mode.
        student: on the same device.
        inputs: [n, *input_shape], in stored units; at most 512 evenly spaced ones are used, fewer if images are large.

    Raises:
        ConfigError: the family's wiring has a layer that does not run.
    """
    most = max(_FEWEST_SAMPLES, _MOST_VALUES // inputs[0].numel())  # one batch: the statistics are over it
    last = len(inputs) - 1
    rows = torch.linspace(0, last, min(len(inputs), _SAMPLES, most), device=inputs.device).long()
    some = inputs[rows.clamp(max=last)].to(device_of(teacher))  # beyond 2^24, float32 may round up
    biased = [pair for pair in carried.pairs if getattr(pair.ours.module, "bias", None) is not None]
    layers = [pair for pair in biased if weight_of(pair.ours).dim() > 1]
    wanted = _moments(teacher, [pair.theirs for pair in layers], some, "teacher")
    with _batch_statistics(student):
        for pair, theirs in zip(layers, wanted, strict=True):
            (ours,) = _moments(student, [pair.ours], some, "student")
            _correct(pair, ours[:, : len(pair.units)], theirs[:, pair.units])
    _take_statistics(student, some)


def _correct(pair: Pair, ours: Tensor, theirs: Tensor) -> None:
    """Set one scale per layer and one bias per unit; `ours` and `theirs` are moments [2, units]."""
    weight, bias, count = weight_of(pair.ours), pair.ours.module.bias, len(pair.units)
    assert isinstance(bias, Tensor)
    (mean, variance), (their_mean, their_variance) = ours, theirs
    spread = variance.mean()
    scale = (their_variance.mean() / spread).sqrt() if spread > 0 else torch.ones_like(spread)
    weight[:count] *= scale
    bias[:count] = their_mean - scale * (mean - bias[:count])


def _moments(network: nn.Module, layers: list[Layer], inputs: Tensor, section: str) -> list[Tensor]:
    """Mean and variance of each layer's outputs for the inputs: [2, units], over samples and places."""
    found: dict[str, Tensor] = {}

    def keep(layer: Layer, made: Tensor) -> None:
        axis = -1 if weight_of(layer).dim() == 2 else 1  # a matrix acts on the last axis, a kernel on maps
        flat = made.movedim(axis, -1).flatten(0, -2)
        found[layer.name] = torch.stack([flat.mean(0), flat.var(0, correction=0)])  # an in-place ReLU may follow

    with ExitStack() as hooks:
        for each in layers:
            hooks.enter_context(each.module.register_forward_hook(lambda *call, each=each: keep(each, call[-1])))
        network(inputs)
    if idle := next((layer.name for layer in layers if layer.name not in found), None):
        raise ConfigError(
            f"{section}.family: the layer {idle!r} of its wiring must run in the forward pass, but does not; call the "
            "module itself there, or leave it out of the wiring."
        )
    return [found[layer.name] for layer in layers]


@contextmanager
def _batch_statistics(student: nn.Module) -> Iterator[None]:
    """Within the block, normalise by the current batch and disable dropout."""
    was_training = student.training
    student.eval()  # also for custom modules that drop out or skip layers
    for module in student.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    yield
    student.train(was_training)


def _take_statistics(student: nn.Module, inputs: Tensor) -> None:
    norms = [module for module in student.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches; there is only one
    with _batch_statistics(student):
        student(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
