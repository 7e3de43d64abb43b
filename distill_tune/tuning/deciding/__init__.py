"""Every decision of a search, free of Ray: which trial next, which goes on, and when it is enough."""
