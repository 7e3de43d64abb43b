"""What every source is: options, a way to load, and an identity of what would be loaded."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from distill_tune.registry import Options

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawImages, RawTable


class Source(Options):
    """Base of all data sources, one of your own too: `data.source = "my_package.module:MySource"`."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Keys of `[data]` that this source cannot do without."""

    @classmethod
    def of(cls, section: DataConfig) -> Source:
        """The source that `[data]` names, with its options."""
        return section.chosen("source", cls)

    @abstractmethod
    def load(self, config: DataConfig) -> RawImages | RawTable:
        """Everything that there is, unsplit and unencoded.

        Raises:
            DataError: it is missing, truncated, of another kind, or breaks a rule.
        """

    @abstractmethod
    def content(self, config: DataConfig) -> str:
        """Changes whenever `load` would return something else; the SHA-256 of the files, where there are any.

        Raises:
            DataError: the files are missing.
        """


def required_path(config: DataConfig) -> str:
    """`data.path`, of a source that `needs` it."""
    assert config.path is not None, "checked with the section"
    return config.path
