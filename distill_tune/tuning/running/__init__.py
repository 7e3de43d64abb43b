"""Ray Tune, with the conductor behind its searcher and scheduler."""
