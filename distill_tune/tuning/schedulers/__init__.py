"""Schedulers: which trials train on, one a file."""
