"""Warm start: the trials of other searches, as far as their spaces agree with this one.

Their values are believed as they are, so they should come from the same data, teacher and objective; a search whose
space differs in what it fixes is still a hint for the sampler, and no more.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from distill_tune.config import Space
from distill_tune.errors import ConfigError
from distill_tune.tuning.logbook import JOURNAL


def check_others(folders: Iterable[str]) -> None:
    """Refuse folders that hold no search.

    Raises:
        ConfigError: which one.
    """
    for folder in folders:
        if not (Path(folder) / JOURNAL).is_file():
            raise ConfigError(f"search.start_from: {folder} holds no {JOURNAL}; name the result folder of a search.")


def trials_of_others(folders: Iterable[str], space: Space) -> list[FrozenTrial]:
    """The ended trials whose every value this space has, in the folders' order."""
    found = (_as_ours(trial, space) for folder in folders for trial in _trials(Path(folder)))
    return [trial for trial in found if trial is not None]


def _trials(folder: Path) -> Iterator[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    for name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, storage=storage)
        yield from study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def _as_ours(trial: FrozenTrial, space: Space) -> FrozenTrial | None:
    """The trial as this space would have sampled it; None where it could not."""
    fixed = optuna.trial.FixedTrial(trial.params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values outside of a range, which are looked at below
        try:
            space.as_optuna(space.suggest(fixed))
        except (ValueError, ConfigError):  # a value is missing, or out of range
            return None
    return optuna.create_trial(
        state=trial.state,
        value=trial.value,
        params={name: trial.params[name] for name in fixed.distributions},
        distributions=fixed.distributions,
        intermediate_values=trial.intermediate_values,
    )
