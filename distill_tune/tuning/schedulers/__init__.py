"""Schedulers, which decide what trials train on: one per file."""

from distill_tune.tuning.schedulers._base import Judge, Rung, Scheduler, ladder

__all__ = ["Judge", "Rung", "Scheduler", "ladder"]
