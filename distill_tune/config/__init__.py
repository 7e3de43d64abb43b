"""Configurations: one file format for runs and for search spaces, in which some values are ranges."""

from distill_tune.config.existing import tables_of
from distill_tune.config.load import load_space, read_toml
from distill_tune.config.presence import Values
from distill_tune.config.searching import parse_duration_s
from distill_tune.config.sections import Config
from distill_tune.config.space import Space

__all__ = ["Config", "Space", "Values", "load_space", "parse_duration_s", "read_toml", "tables_of"]
