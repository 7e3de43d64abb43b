"""Optuna's TPE with less arithmetic per proposal, and the same proposals but for the last digits.

Half of the time is saved: each trial's parameters are converted to numbers once, and the logarithm of the normal
distribution, which Optuna has in Python, is taken from SciPy. Other samplers of the process keep Optuna's.

Imported only when a sampler is built, since importing Optuna takes half a second.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from optuna import Study
from optuna.samplers import TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.trial import FrozenTrial, TrialState

Rows = dict[Hashable, dict[int, tuple[float, ...]]]
"""By parameters: the values of each trial that is not running, as numbers; empty for a trial without them."""


class FastTpe(TPESampler):
    """Optuna's sampler, for one study."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self._rows: Rows = {}
        """The rows so far; the samplers of a study may share them."""

    def _sample(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
        with _scipys_logarithm():
            return super()._sample(study, trial, search_space)

    def _get_internal_repr(self, trials: list[FrozenTrial], search_space: dict[str, Any], study: Any) -> Any:
        rows = self._rows.setdefault(tuple(search_space.items()), {})
        found = []
        for trial in trials:
            row = rows.get(trial.number)
            if row is None:
                row = self._row(trial, search_space, study)
                if trial.state is not TrialState.RUNNING:
                    rows[trial.number] = row
            if row:
                found.append(row)
        columns = zip(*found, strict=True) if found else [()] * len(search_space)
        return {name: np.asarray(column) for name, column in zip(search_space, columns, strict=True)}

    def _row(self, trial: FrozenTrial, search_space: dict[str, Any], study: Any) -> tuple[float, ...]:
        chosen = self._get_params(trial, study)
        if not search_space.keys() <= chosen.keys():
            return ()
        return tuple(kind.to_internal_repr(chosen[name]) for name, kind in search_space.items())


@contextmanager
def _scipys_logarithm() -> Iterator[None]:
    """Give Optuna's TPE SciPy's `log_ndtr` for now; a search's first trials, drawn at random, do not wait for SciPy."""
    from scipy.special import log_ndtr

    optunas, _truncnorm._log_ndtr = _truncnorm._log_ndtr, log_ndtr
    try:
        yield
    finally:
        _truncnorm._log_ndtr = optunas
