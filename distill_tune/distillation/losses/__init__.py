"""Distillation losses, one a file; a file's name is the loss's name in `loss.kind`."""
