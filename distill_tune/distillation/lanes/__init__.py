"""Fused lanes: several small students train as one, each in its own lane.

A step of a student with two thousand parameters is so short that calling PyTorch takes longer than computing. Here the
students of several trainings are lanes of one set of tensors, and one call does the work of all. They are MLPs of any
widths, depths and activations, each with its own loss, temperature, weight, learning rate, decay and seed. Each student
sees the same batches and ends up the same as with `distill` alone; a test checks to how many digits.
"""

from distill_tune.distillation.lanes.fused import may_fuse
from distill_tune.distillation.lanes.lanes import Lanes

__all__ = ["Lanes", "may_fuse"]
