"""What every source is: options, a way to load, and an identity of what would be loaded."""

from typing import TYPE_CHECKING

from distill_tune.errors import ConfigError
from distill_tune.registry import Options

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawImages, RawTable


class Source(Options):
    """Base of all data sources, one of your own too: `data.source = "my_package.module:MySource"`."""

    def load(self, config: "DataConfig") -> "RawImages | RawTable":
        """Everything that there is, unsplit and unencoded.

        Raises:
            DataError: it is missing, truncated, of another kind, or breaks a rule.
        """
        raise NotImplementedError

    def content(self, config: "DataConfig") -> str:
        """Changes whenever `load` would return something else; the SHA-256 of the files, where there are any.

        Raises:
            DataError: the files are missing.
        """
        raise NotImplementedError


def required_path(config: "DataConfig") -> str:
    """`data.path`, of a source that cannot do without.

    Raises:
        ConfigError: the key is missing.
    """
    if config.path is None:
        raise ConfigError(f"data.path: this key is required when data.source = {config.source!r}; name the file.")
    return config.path
