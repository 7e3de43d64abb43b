"""Augmentations, one per file; a file's name is its key in `[augmentation]`, whose value is the amount.

A transform is a pure function of (seed, sample index, view): the teacher's outputs can be cached for a view, and the
view can be replayed exactly, on any device and by any worker.
"""

from distill_tune.distillation.augmentation._base import Draw, Transform

__all__ = ["Draw", "Transform"]
