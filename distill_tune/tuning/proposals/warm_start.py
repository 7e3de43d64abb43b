"""Warm start: learn from the trials of other searches, as far as their spaces agree with this one.

They should come from the same data and teacher; trials of a space with other fixed values are only a hint for the
sampler. A study of the same single objective is used as it is; if the other search had another one, or either has
several, the values are read from the other's logbook, which has every metric and size.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from distill_tune.config import Space
from distill_tune.errors import ConfigError
from distill_tune.paths import expanded
from distill_tune.tuning.proposals.start_from import has_the_objective, split_otherwise, still_there
from distill_tune.tuning.proposals.storage import SearchStorage
from distill_tune.tuning.proposals.study import told_of
from distill_tune.tuning.samplers import Sampler
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import JOURNAL


def known_of_others(space: Space, say: Callable[[str], None]) -> list[FrozenTrial]:
    """The trials of `search.start_from` that fit this space; says how many of all trials these are."""
    others = still_there(space.config.search.start_from, say)
    for warning in split_otherwise(others, space.config.data):
        say(warning)
    all_trials = trials_of_others(others, space)
    known = [trial for trial in all_trials if trial is not None]
    if known:
        say(f"search.start_from: knows {len(known):,} of {len(all_trials):,} trials")
    elif all_trials:
        say(
            f"warning: search.start_from: none of {len(all_trials):,} trials has a value for each range of this space "
            "and within it, so that the search begins as if there were none"
        )
    elif others and Sampler.of(space.config.search).learns_from_others:
        what = " and ".join(space.config.search.objectives)
        say(f"warning: search.start_from: no trial there has {what}, so that the search begins as if there were none")
    return known


def trials_of_others(folders: Iterable[str], space: Space) -> list[FrozenTrial | None]:
    """The trials with results for all objectives, in the folders' order; None for one that does not fit this space.

    Empty for a sampler that does not learn from others: one that tries each combination once would skip theirs.
    """
    objectives = space.config.search.objectives
    if not Sampler.of(space.config.search).learns_from_others:
        return []
    return [_as_ours(trial, told, space) for f in folders for trial, told in _trials(expanded(f), objectives)]


def _trials(folder: Path, objectives: Sequence[str]) -> Iterator[tuple[FrozenTrial, dict[str, Any]]]:
    """Each trial, and what a study of these objectives is told about it."""
    storage, as_told = SearchStorage(folder / JOURNAL), has_the_objective(folder, objectives)
    for name in optuna.get_all_study_names(storage):
        study = optuna.load_study(study_name=name, storage=storage)
        storage.find_paused(study)
        trials = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
        if as_told:
            known = (t for t in trials if t.value is not None or t.intermediate_values)  # others were infeasible
            yield from ((t, {"value": t.value, "intermediate_values": t.intermediate_values}) for t in known)
        else:
            yield from _read_anew(trials, folder, objectives)


def _read_anew(
    trials: list[FrozenTrial], folder: Path, objectives: Sequence[str]
) -> Iterator[tuple[FrozenTrial, dict[str, Any]]]:
    """The trials with values from the logbook; those that the search itself had from others are not in there."""
    known = {record.number: record for record in History.of(folder).records.values() if record.reports}
    for trial in trials:
        record = known.get(trial.number)
        if record is not None and all(isfinite(record.value_of(name, record.last)) for name in objectives):
            yield trial, told_of(record, objectives, trial.state)


def _as_ours(trial: FrozenTrial, told: dict[str, Any], space: Space) -> FrozenTrial | None:
    """The trial as this space would have sampled it; None if it could not."""
    fixed = optuna.trial.FixedTrial(trial.params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on values outside a range, which are checked below
        try:
            space.as_optuna(space.suggest(fixed))
            return optuna.create_trial(
                state=trial.state,
                params={name: trial.params[name] for name in fixed.distributions},
                distributions=fixed.distributions,
                **told,
            )
        except (ValueError, ConfigError):  # a value is missing or out of range, or no integer where one is due
            return None
