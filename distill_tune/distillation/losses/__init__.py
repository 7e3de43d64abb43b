"""Distillation losses, one a file; a file's name is the loss's name in `loss.kind`."""

from distill_tune.distillation.losses._base import Loss, Weight, a_row
from distill_tune.distillation.losses._features import FeatureLoss, Shape

__all__ = ["FeatureLoss", "Loss", "Shape", "Weight", "a_row"]
