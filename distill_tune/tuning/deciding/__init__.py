"""Every decision of a search, free of Ray: which trial is next, which trains on, and when the search is over."""
