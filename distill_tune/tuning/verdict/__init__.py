"""From the search to its verdict: the best trained again, examined on test, and summed up."""
