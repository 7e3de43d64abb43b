"""Samplers: who proposes the next trial, one a file; each is one of Optuna's with options of its own."""

from distill_tune.tuning.samplers._base import EXHAUSTED, RUNGS, Sampler, proposal_seed

__all__ = ["EXHAUSTED", "RUNGS", "Sampler", "proposal_seed"]
