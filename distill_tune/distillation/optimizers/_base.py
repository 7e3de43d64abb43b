"""Base class of optimizer kinds."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.registry import Options

if TYPE_CHECKING:
    from torch import Tensor, nn

    from distill_tune.config.optim import OptimConfig
    from distill_tune.distillation.optimizers._direct import Optimizer


@dataclass(frozen=True)
class LaneStep:
    """One step of several students at once, each in its own lane with all its weights in one row."""

    weights: Tensor
    """[lanes, weights]; updated in place."""
    gradients: Tensor
    """[lanes, weights]; may be overwritten."""
    memories: list[Tensor]
    """[lanes, weights] each: the running tensors, in the order of `build`'s optimizer; updated in place."""
    rate: Tensor
    """[lanes, 1]."""
    decay: Tensor
    """[lanes, weights]: the weight decay; 0 for biases."""
    number: Tensor
    """[lanes, 1]: number of this step in each lane's training, from 1."""


class OptimizerKind(Options):
    """A kind of optimizer; its fields are its options, in addition to learning rate and weight decay."""

    over_lanes: ClassVar[bool] = False
    """True if it defines `step_lanes` and `build` returns a `DirectOptimizer`."""

    @classmethod
    def of(cls, section: OptimConfig) -> OptimizerKind:
        """The kind that `[optim]` names, with its options."""
        return section.chosen("kind", cls)

    @classmethod
    def missing_methods(cls) -> list[str]:
        """Abstract methods, and `step_lanes` if it works over lanes."""
        has_step = not cls.over_lanes or cls.step_lanes is not OptimizerKind.step_lanes
        return super().missing_methods() + ([] if has_step else ["step_lanes"])

    @abstractmethod
    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`: one of `torch.optim`, or one that behaves like it.

        The schedule multiplies the initial `lr` of each of its `param_groups`.
        """

    def step_lanes(self, step: LaneStep) -> None:
        """Apply to every lane the step that `build`'s optimizer applies to one student."""
        raise NotImplementedError


def optimizer_of(optim: OptimConfig, student: nn.Module, beside: nn.Module | None) -> Optimizer:
    """The optimizer of the student and, in separate groups with the same settings, of what trains `beside` it."""
    optimizer = OptimizerKind.of(optim).build(student, optim.learning_rate, optim.weight_decay)
    if beside is not None:
        for group in weight_groups(beside, optim.weight_decay):
            optimizer.add_param_group({**group, "lr": optim.learning_rate})
    return optimizer


def weight_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: matrices and kernels decay; biases and norms, which only shift and scale, do not."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
