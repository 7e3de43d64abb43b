"""Keep the weights as built: PyTorch's defaults; for convolutions, He et al. 2015 (`students/_blocks.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill_tune.distillation.initialisation._base import Initialisation
from distill_tune.registry import INITIALISATIONS

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config import Config
    from distill_tune.distillation.materials.materials import Materials


@INITIALISATIONS.register
class Default(Initialisation):
    """Leaves the student as it was built."""

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> None:
        """Do nothing."""
