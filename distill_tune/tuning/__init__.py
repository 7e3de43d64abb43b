"""A search from its order to its verdict, with Ray Tune and Optuna around the loop; one subpackage per part."""
