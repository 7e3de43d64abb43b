"""What was ordered on the command line: a new search, one to be taken up again, or one to be extended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distill_tune.config import Space
from distill_tune.errors import CacheError, ConfigError
from distill_tune.export.result_folder import write_search_toml
from distill_tune.tuning.deciding.budget import SENTENCES, Reason
from distill_tune.tuning.proposals.start_from import check_others
from distill_tune.tuning.samplers import Sampler
from distill_tune.tuning.state.claim import Claim, space_of
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import JOURNAL, Entry
from distill_tune.tuning.state.records import Status

_FOR_GOOD = (Reason.EPOCHS, Reason.TARGET, Reason.PATIENCE)
"""An extension has more trials, and neither more of these nor less; each is the name of a key of `[search]` too."""


@dataclass(frozen=True)
class Order:
    """A search to run."""

    space: Space
    space_name: str
    folder: Path
    command: str
    address: str | None = None
    is_new: bool = True
    is_named: bool = True
    """Whether its folder must have that name; a default one that another search takes meanwhile has others after it."""
    more_trials: int | None = None
    """For an extension: so many more than there have been."""

    def enter(self, claim: Claim, space: Space) -> None:
        """Write down that an old search has become a longer one; a kill may have left that half done."""
        if self.more_trials is not None:
            search = space.config.search
            claim.logbook.write(Entry.EXTENDED, trials=self.more_trials, total=search.trials, time=search.time)
            claim.history.extend()
        if space_of(self.folder) != space:
            write_search_toml(self.folder, space, self.command)


def taken_up(folder: Path, command: str, address: str | None) -> Order:
    """An order to go on with the search in a folder.

    Raises:
        ConfigError: there is none, or its logbook is damaged, or it is finished, or it has yet to start from others
            that are gone.
        InputError: its data or its teacher are others than they were.
    """
    space, history = _left_in(folder)
    if history.is_finished:
        raise ConfigError(f"--resume: {folder.name} is finished; --extend N adds N trials to it.")
    if not history.study_bytes:  # nothing has been learnt of others yet
        check_others(space.config.search)
    if history.origin is not None:
        history.origin.check("--resume", folder, space)
    return Order(space, folder.name, folder, command, address, is_new=False)


def extended(folder: Path, more_trials: int, time: str | None, command: str, address: str | None) -> Order:
    """An order to add trials to the finished search in a folder; its time, if any, is counted anew.

    Raises:
        ConfigError: there is none, or its logbook is damaged, or it is not finished, or what ended it would end it
            again before another trial.
        InputError: its data or its teacher are others than they were.
    """
    space, history = _left_in(folder)
    if not history.is_finished:
        raise ConfigError(f"--extend: {folder.name} is not finished; go on with --resume first.")
    if why := _why_none_is_added(folder, space, history):
        raise ConfigError(
            f"--extend: {folder.name} would end again before another trial, since {why}; begin a new search where that "
            f"is otherwise, with {_knowing(space)}search.start_from = ['{folder}'], which knows its trials."
        )
    if history.origin is not None:
        history.origin.check("--extend", folder, space)
    trained = sum(record.status is not Status.INFEASIBLE for record in history.records.values())
    space = _longer(space, trained + more_trials, time)
    return Order(space, folder.name, folder, command, address, is_new=False, more_trials=more_trials)


def _knowing(space: Space) -> str:
    """What a search must have to learn from this one, if it is otherwise the same."""
    return "" if Sampler.of(space.config.search).learns_from_others else "search.sampler = 'tpe' and "


def _why_none_is_added(folder: Path, space: Space, history: History) -> str:
    """What has ended a search for good; empty where more trials are more trials."""
    search = space.config.search
    if history.ended_by in _FOR_GOOD:
        return (
            f"{SENTENCES[Reason(history.ended_by)]} (search.{history.ended_by} = {getattr(search, history.ended_by)})"
        )
    if Sampler.of(search).tries_each_once:
        from distill_tune.tuning.proposals.study import is_exhausted  # brings Optuna

        if is_exhausted(folder / JOURNAL):
            return f"every combination of the space has been tried (search.sampler = '{search.sampler}')"
    return ""


def _left_in(folder: Path) -> tuple[Space, History]:
    """What an earlier session has left; of how long the search has become, the logbook knows first."""
    space = space_of(folder)
    try:
        history = History.of(folder)
    except CacheError as error:  # nothing is begun yet, so it is the input that is bad
        raise ConfigError(str(error)) from error
    return (space if history.extended_to is None else _longer(space, *history.extended_to)), history


def _longer(space: Space, trials: int, time: str | None) -> Space:
    space = space.with_fixed("search", "trials", trials).without("search", "time")
    return space if time is None else space.with_fixed("search", "time", time)
