"""Optimizers, one a file; a file's name is its name in `optim.kind`."""

from distill_tune.distillation.optimizers._base import LaneStep, OptimizerKind, optimizer_of, weight_groups

__all__ = ["LaneStep", "OptimizerKind", "optimizer_of", "weight_groups"]
