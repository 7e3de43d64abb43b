"""The base of all sources: options, how to load the data, and the identity of what would be loaded."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from distill_tune.registry import Options

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawImages, RawTable


class Source(Options):
    """Base of all data sources, including custom ones: `data.source = "my_package.module:MySource"`."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Keys of `[data]` that this source requires."""

    @classmethod
    def of(cls, section: DataConfig) -> Source:
        """The source that `[data]` names, with its options."""
        return section.chosen("source", cls)

    @abstractmethod
    def load(self, config: DataConfig) -> RawImages | RawTable:
        """Load all data, unsplit and unencoded.

        Raises:
            DataError: the data are missing, truncated, of another kind, or break a rule.
        """

    @abstractmethod
    def content(self, config: DataConfig) -> str:
        """A text that changes whenever `load` would return something else; the SHA-256 of the files, if there are any.

        Options count anyway, and so does the code of a user-defined source.

        Raises:
            DataError: the files are missing.
        """


def required_path(config: DataConfig) -> str:
    """`data.path`, for a source that `needs` it."""
    assert config.path is not None, "checked with the section"
    return config.path
