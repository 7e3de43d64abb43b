"""Synthetic clusters: scikit-learn's `make_classification`, any number of samples, features, classes.

Guyon, "Design of experiments for the NIPS 2003 variable selection benchmark", 2003 (the generator)
"""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from distill_tune.config.numbers import Positive, Seed
from distill_tune.data.sources._base import Source
from distill_tune.errors import ConfigError
from distill_tune.registry import DATA_SOURCES
from distill_tune.room import in_bytes

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawTable

CLUSTERS = 2
"""Clusters per class; with one, a linear model could learn everything."""
_BYTES = 8
"""Bytes per number, as drawn."""


@DATA_SOURCES.register
class Blobs(Source):
    """Each class is two clusters at corners of a cube in the informative features; the other features are noise."""

    samples: Positive = 10_000
    features: Positive = 20
    classes: Annotated[int, Field(ge=2)] = 20
    informative: Positive = 10
    """Features that the class depends on."""
    separation: Annotated[float, Field(gt=0)] = 1.0
    """Half the length of the cube's edges; larger is easier."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the samples whose label is drawn at random."""
    seed: Seed = 0

    @model_validator(mode="after")
    def _fits(self) -> Blobs:
        if self.informative > self.features:
            raise ConfigError(
                f"blobs.informative: must be at most blobs.features ({self.features}), but got {self.informative}."
            )
        least = (self.classes * CLUSTERS - 1).bit_length()
        if self.informative < least:  # corners of the cube: 2^informative
            raise ConfigError(
                f"blobs.informative: must be at least {least} for {self.classes} classes, but got {self.informative}."
            )
        return self

    def load(self, config: DataConfig) -> RawTable:
        """The samples, drawn with `seed`."""
        import numpy as np
        import pandas as pd
        from sklearn.datasets import make_classification

        from distill_tune.data.raw import RawTable

        self._check_memory()
        inputs, labels = make_classification(
            n_samples=self.samples,
            n_features=self.features,
            n_informative=self.informative,
            n_redundant=0,
            n_classes=self.classes,
            n_clusters_per_class=CLUSTERS,
            class_sep=self.separation,
            flip_y=self.noise,
            random_state=self.seed,
        )
        return RawTable(
            frame=pd.DataFrame(inputs, columns=[f"x{i}" for i in range(self.features)]),
            labels=labels.astype(np.int64),
            classes=tuple(str(i) for i in range(self.classes)),
            where="blobs",
        )

    def _check_memory(self) -> None:
        needed = (self.samples + CLUSTERS * self.classes) * self.features * _BYTES
        if needed > (has := os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")):
            raise ConfigError(
                f"data.blobs.samples: {self.samples:,} samples of {self.features:,} features need {in_bytes(needed)}, "
                f"but this machine has {in_bytes(has)} of memory; lower one of them."
            )

    def content(self, config: DataConfig) -> str:
        """The generator's version; fingerprints include the options anyway."""
        return f"make_classification of scikit-learn {version('scikit-learn')}"
