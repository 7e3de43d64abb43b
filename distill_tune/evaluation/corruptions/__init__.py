"""Ways to corrupt inputs, one per file, each a pure function of (inputs, severity, seed)."""

from distill_tune.evaluation.corruptions._base import SEVERITIES, Corruption

__all__ = ["SEVERITIES", "Corruption"]
