"""Optimizers, one a file; a file's name is its name in `optim.kind`."""

from distill_tune.distillation.optimizers._base import OptimizerKind

__all__ = ["OptimizerKind"]
