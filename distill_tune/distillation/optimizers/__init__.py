"""Optimizers, one a file; a file's name is its name in `optim.kind`."""
