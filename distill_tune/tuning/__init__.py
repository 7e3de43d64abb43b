"""A search, from its order to its verdict: Ray Tune and Optuna around the loop, one room for each part of it."""
