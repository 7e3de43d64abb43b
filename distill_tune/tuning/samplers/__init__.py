"""Samplers, which propose the next trial: one per file, each an Optuna sampler with its own options."""

from distill_tune.tuning.samplers._base import EXHAUSTED, RUNGS, Sampler, proposal_seed

__all__ = ["EXHAUSTED", "RUNGS", "Sampler", "proposal_seed"]
