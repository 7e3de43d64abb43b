"""Distillation losses, one per file; the file name is the value of `loss.kind`."""

from distill_tune.distillation.losses._base import Loss, Weight, a_row
from distill_tune.distillation.losses._features import FeatureLoss, Shape

__all__ = ["FeatureLoss", "Loss", "Shape", "Weight", "a_row"]
