"""Optimizers, one per file; the file name is the value of `optim.kind`."""

from distill_tune.distillation.optimizers._base import LaneStep, OptimizerKind, optimizer_of, weight_groups

__all__ = ["LaneStep", "OptimizerKind", "optimizer_of", "weight_groups"]
