"""The charts of a report, one per file; each is a function of a `Result`, or None if there is nothing to draw."""
