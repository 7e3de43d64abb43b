"""What a user's own optimizer makes, looked at before anything is trained."""

from __future__ import annotations

from torch import nn

from distill_tune.config import Space
from distill_tune.distillation.optimizers import OptimizerKind
from distill_tune.distillation.optimizers._direct import DirectOptimizer
from distill_tune.errors import ConfigError

_NEEDED = ("param_groups", "step", "zero_grad", "state_dict", "load_state_dict")


def check_optimizers(space: Space) -> None:
    """Have each of the user's own build one for a layer.

    Raises:
        ConfigError: what it makes cannot train, or not in lanes though it says so.
    """
    for name in space.names("optim", "kind"):
        if ":" in name:
            optim = space.at(space.middle(chosen={("optim", "kind"): name})).optim
            kind = OptimizerKind.of(optim)
            _check_made(name, kind, kind.build(nn.Linear(3, 2), optim.learning_rate, optim.weight_decay))


def _check_made(name: str, kind: OptimizerKind, made: object) -> None:
    lacking = [each for each in _NEEDED if not hasattr(made, each)]
    if lacking:
        raise ConfigError(
            f"optim.kind: `build` of {name!r} must give an optimizer, as those of torch.optim are, but gave "
            f"{type(made).__name__}, which lacks {' and '.join(lacking)}; mend it."
        )
    if kind.over_lanes and not isinstance(made, DirectOptimizer):
        raise ConfigError(
            f"optim.kind: {name!r} says that it is `over_lanes`, but its `build` gives no DirectOptimizer, whose "
            "running tensors lanes can hold; build one, or leave `over_lanes` out."
        )
