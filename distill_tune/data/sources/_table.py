"""The base of table files: one column is the label, the others are inputs."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from distill_tune.checksum import sha256_of
from distill_tune.data.files import of_kind
from distill_tune.data.sources._base import Source, required_path
from distill_tune.errors import DataError
from distill_tune.registry import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawTable


class TableFile(Source):
    """A file of rows; derived classes define its kind and how it is read."""

    needs: ClassVar[tuple[str, ...]] = ("path",)
    label: str | None = None
    """The column of class labels; None: the last."""
    columns: Annotated[list[str], Field(min_length=1)] | None = None
    """The input columns to keep; None: all but the label."""
    ignore: list[str] = Field([])
    """Columns to leave out, such as row numbers or values known only afterwards."""

    @abstractmethod
    def read(self, path: Path) -> pd.DataFrame:
        """The whole file."""

    @abstractmethod
    def kind(self) -> str:
        """The kind that the file must be: "csv" or "parquet"."""

    def notes(self, path: Path) -> tuple[str, ...]:
        """What users must be told about how the file was read."""
        return ()

    @property
    def named(self) -> set[str]:
        """The columns that options name."""
        return {*filter(None, [self.label]), *(self.columns or []), *self.ignore}

    def content(self, config: DataConfig) -> str:
        """SHA-256 of the file."""
        return sha256_of(of_kind(required_path(config), self.kind()))

    def load(self, config: DataConfig) -> RawTable:
        """The file's rows, with class ids in the order of the sorted labels."""
        from distill_tune.data.raw import RawTable, classes_of

        path = of_kind(required_path(config), self.kind())
        frame = self.read(path)
        if not len(frame):
            raise DataError(f"{path}: has a header but no rows; add some.")
        label = self._label_in(frame, config, path)
        labels, classes = classes_of(frame[label], str(path), may_miss=config.rest == "unlabelled")
        inputs = self._inputs(frame, label, path, config)
        return RawTable(frame=inputs, labels=labels, classes=classes, where=str(path), notes=self.notes(path))

    def _label_in(self, frame: pd.DataFrame, config: DataConfig, path: Path) -> str:
        columns = [str(name) for name in frame.columns]
        if len(columns) < 2:
            cure = f"set data.{config.source}.separator" if self.kind() == "csv" else "it needs inputs and a label"
            raise DataError(f"{path}: has one column only ({columns[0]!r}); {cure}.")
        if self.label is not None and self.label not in columns:
            raise DataError(_unknown(f"data.{config.source}.label", self.label, columns, path))
        return self.label or columns[-1]

    def _inputs(self, frame: pd.DataFrame, label: str, path: Path, config: DataConfig) -> pd.DataFrame:
        others = [name for name in frame.columns if name != label]
        for key, names in (("columns", self.columns or []), ("ignore", self.ignore)):
            for i, name in enumerate(names):
                if name == label:
                    raise DataError(
                        f"data.{config.source}.{key}: {name!r} is the label of {path}; take it out of the list."
                    )
                if name in names[:i]:
                    raise DataError(f"data.{config.source}.{key}: {name!r} stands twice in the list; take one out.")
                if name not in others:
                    raise DataError(_unknown(f"data.{config.source}.{key}", name, others, path))
        kept = [name for name in self.columns or others if name not in self.ignore]
        if not kept:
            raise DataError(f"data.{config.source}.ignore: leaves no input column of {path}; shorten it.")
        return frame[kept]


def _unknown(key: str, name: str, known: list[str], path: Path) -> str:
    hint = did_you_mean(name, known)
    if len(known) > 20:
        hint = hint.partition(" Known:")[0] + f" It has {len(known):,} columns, the first is {known[0]!r}."
    return f"{key}: {path} has no such column {name!r}.{hint}"
