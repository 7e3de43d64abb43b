"""Samplers: who proposes the next trial, one a file; each is one of Optuna's with options of its own."""
