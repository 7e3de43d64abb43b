"""Ray Tune: the search's decisions put behind its searcher and scheduler."""
