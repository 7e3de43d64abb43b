"""Optuna's quasi-Monte-Carlo sampler, except that its sequence continues when its set of parameters changes.

It draws the parameters of the first trial that ended; with several places that may become another trial, which in a
conditional space may have others. Optuna restarts the sequence for each such set, and repeats points: of 32 trials in
eight places up to 12 had the learning rate of another (six seeds). Here all sets share one counter.

Imported only when a sampler is built, since importing Optuna takes half a second.
"""

from __future__ import annotations

from typing import Any

from optuna import Study
from optuna.samplers import QMCSampler


class Continued(QMCSampler):
    """Optuna's sampler with one position in the sequence for the whole study."""

    def _find_sample_id(self, study: Study, search_space: dict[str, Any]) -> int:
        return super()._find_sample_id(study, {})
