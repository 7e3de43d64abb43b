"""Teachers: where their outputs come from, one source a file."""
