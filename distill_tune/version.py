"""The version of this package, which results and model cards record."""

__version__ = "0.1.0"
