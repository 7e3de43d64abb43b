"""The charts of a report, one a file; each is a function of a `Result`, and None where there is nothing to draw."""
