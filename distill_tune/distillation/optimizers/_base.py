"""What an optimizer entry is."""

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
    """One step of several students at once, each in a lane of its own with all of its weights in one row."""

    weights: Tensor
    """[lanes, weights]; moved in place."""
    gradients: Tensor
    """[lanes, weights]; may be overwritten."""
    memories: list[Tensor]
    """[lanes, weights] each: the running tensors, in the order of the optimizer of `build`; moved in place."""
    rate: Tensor
    """[lanes, 1]."""
    decay: Tensor
    """[lanes, weights]: the weight decay; 0 for biases."""
    number: Tensor
    """[lanes, 1]: of this step in each lane's training, from 1 on."""


class OptimizerKind(Options):
    """A kind of optimizer; its fields are its options beside the learning rate and the weight decay."""

    over_lanes: ClassVar[bool] = False
    """True where there is a `step_lanes`, and `build` makes a `DirectOptimizer`."""

    @classmethod
    def of(cls, section: OptimConfig) -> OptimizerKind:
        """The kind that `[optim]` names, with its options."""
        return section.chosen("kind", cls)

    @classmethod
    def missing_methods(cls) -> list[str]:
        """Where it works on lanes, `step_lanes` too."""
        has_step = not cls.over_lanes or cls.step_lanes is not OptimizerKind.step_lanes
        return super().missing_methods() + ([] if has_step else ["step_lanes"])

    @abstractmethod
    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`: any of `torch.optim`, or what behaves like one.

        The schedule multiplies the `lr` that each of its `param_groups` then has.
        """

    def step_lanes(self, step: LaneStep) -> None:
        """Do to every lane what the optimizer of `build` does to one student."""
        raise NotImplementedError


def optimizer_of(optim: OptimConfig, student: nn.Module, beside: nn.Module | None) -> Optimizer:
    """The optimizer of the student and, in groups of their own with the same settings, of what trains `beside` it."""
    optimizer = OptimizerKind.of(optim).build(student, optim.learning_rate, optim.weight_decay)
    if beside is not None:
        for group in weight_groups(beside, optim.weight_decay):
            optimizer.add_param_group({**group, "lr": optim.learning_rate})
    return optimizer


def weight_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases and norms, which only shift and scale, do not."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
