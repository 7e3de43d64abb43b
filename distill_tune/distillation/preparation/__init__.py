"""Preparation before students train: load or train the teacher, cache its outputs, and check the space."""
