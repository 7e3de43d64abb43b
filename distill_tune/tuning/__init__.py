"""A search, from its order to its verdict: Ray Tune and Optuna around the loop, one subpackage for each part of it."""
