"""Fused lanes: several small students train as one, each in a lane of its own.

A step of a student of two thousand parameters is so short that calling PyTorch takes longer than computing. Here the
students of several trainings lie in the lanes of one set of tensors, and one call does the work of all: MLPs of any
widths, depths and activations, with losses, temperatures, weights, rates, decays and seeds of their own. What each of
them sees and becomes is what `distill` alone would have shown it and made of it; a test says to which digit.
"""

from distill_tune.distillation.lanes.fused import may_fuse
from distill_tune.distillation.lanes.lanes import Lanes

__all__ = ["Lanes", "may_fuse"]
