"""Schedulers: which trials train on, one a file."""

from distill_tune.tuning.schedulers._base import Judge, Rung, Scheduler, ladder

__all__ = ["Judge", "Rung", "Scheduler", "ladder"]
