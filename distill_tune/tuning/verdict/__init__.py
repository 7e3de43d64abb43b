"""From the search to its verdict: the best are retrained, examined on test, and summarised."""
