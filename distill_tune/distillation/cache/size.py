"""How large the teacher's cache will be: known from shapes alone, and said before anything of it is built."""

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
    """What the teacher is run over, for all augmentations of a space together."""

    views: int
    samples: int
    """That the student may see."""
    classes: int
    validation_samples: int
    """Labelled as they are, once for each augmentation."""
    augmentations: int = 1
    keep: int | None = None
    """Logits of a view that are kept; None: all."""

    @classmethod
    def of(cls, variants: list[Config], dataset: Dataset) -> CacheSize:
        """The size for configurations that differ in their augmentation."""
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
        """On disk, and in memory while it is built."""
        whole = self.augmentations * self.validation_samples * sample_bytes(self.classes, None)
        return self.views * self.samples * sample_bytes(self.classes, self.keep) + whole

    def __str__(self) -> str:
        """For people: "the teacher's cache: 120 views x 1,437 samples x 10 classes, 6.9 MB"."""
        return f"the teacher's cache: {self.counts}, {in_bytes(self.num_bytes)}"

    @property
    def counts(self) -> str:
        """What it is a product of: "120 views x 1,437 samples x 10 classes"."""
        of_each = "" if self.keep is None else f"{self.keep:,} of "
        return f"{_count(self.views, 'view')} x {_count(self.samples, 'sample')} x {of_each}{self.classes:,} classes"

    @property
    def way_out(self) -> str:
        """What makes it smaller, where something can."""
        return "lower teacher.views, " if self.views > self.augmentations else ""

    def announce(self, folder: Path, say: Say) -> None:
        """Say it, unless the disk of `folder` has no room for it.

        Raises:
            ConfigError: it has not.
        """
        check_room(folder, self.num_bytes, f"the teacher's cache ({self.counts})", self.way_out)
        say(str(self))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
