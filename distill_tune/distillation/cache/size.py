"""The size of the teacher's cache, computed from shapes alone and reported before any of it is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.cache.folders import number_of_views
from distill_tune.distillation.cache.seen import num_visible
from distill_tune.distillation.cache.sparse import kept, sample_bytes
from distill_tune.room import check_room, in_bytes
from distill_tune.teachers import Say


@dataclass(frozen=True)
class CacheSize:
    """What the teacher labels, for all augmentations of a space together."""

    views: int
    samples: int
    """Training samples that the student may see."""
    classes: int
    validation_samples: int
    """Labelled unaugmented, once per augmentation."""
    augmentations: int = 1
    keep: int | None = None
    """Number of logits kept per sample and view; None: all."""

    @classmethod
    def of(cls, variants: list[Config], dataset: Dataset) -> CacheSize:
        """The size for configurations that differ only in their augmentation."""
        classes = len(dataset.classes)
        return cls(
            sum(map(number_of_views, variants)),
            num_visible(dataset),
            classes,
            dataset.num_rows["validation"],
            len(variants),
            kept(variants[0].teacher.keep, classes),
        )

    @property
    def num_bytes(self) -> int:
        """Size on disk, and in memory while it is built."""
        whole = self.augmentations * self.validation_samples * sample_bytes(self.classes, None)
        return self.views * self.samples * sample_bytes(self.classes, self.keep) + whole

    def __str__(self) -> str:
        """A message: "the teacher's cache: 120 views x 1,437 samples x 10 classes, 6.9 MB"."""
        if not self.views:
            return f"the teacher runs live with every student: its cache has only {self.counts}"
        return f"the teacher's cache: {self.counts}, {in_bytes(self.num_bytes)}"

    @property
    def counts(self) -> str:
        """Its factors: "120 views x 1,437 samples x 10 classes"; of a live teacher, the samples to validate on."""
        if not self.views:
            return f"{_count(self.validation_samples, 'validation sample')} x {self.classes:,} classes"
        of_each = "" if self.keep is None else f"{self.keep:,} of "
        return f"{_count(self.views, 'view')} x {_count(self.samples, 'sample')} x {of_each}{self.classes:,} classes"

    @property
    def way_out(self) -> str:
        """How to make it smaller; empty if nothing can."""
        return "lower teacher.views, " if self.views > self.augmentations else ""

    def announce(self, folder: Path, say: Say) -> None:
        """Report the size if the disk of `folder` has room for it.

        Raises:
            ConfigError: it has no room.
        """
        check_room(folder, self.num_bytes, f"the teacher's cache ({self.counts})", self.way_out)
        say(str(self))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
