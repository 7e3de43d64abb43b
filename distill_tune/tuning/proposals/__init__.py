"""Optuna's study: what has been tried, and what is tried next."""
