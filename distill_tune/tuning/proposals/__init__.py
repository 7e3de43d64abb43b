"""The Optuna study: what has been tried, and what to try next."""
