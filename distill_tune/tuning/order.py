"""What was ordered on the command line: a new search, one to resume, or one to extend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distill_tune.config import Space, parse_duration_s
from distill_tune.config.searching import SearchConfig
from distill_tune.errors import CacheError, ConfigError
from distill_tune.export.result_folder import SEARCH_TOML, write_search_toml
from distill_tune.mirror import Mirror
from distill_tune.tuning.deciding.budget import SENTENCES, Budget, Reason
from distill_tune.tuning.deciding.spent import Spent
from distill_tune.tuning.proposals.start_from import check_others
from distill_tune.tuning.samplers import Sampler
from distill_tune.tuning.state.claim import Claim, check_is_ours, space_of
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import JOURNAL, Entry
from distill_tune.tuning.state.own_parts import changes_in_words, own_parts
from distill_tune.tuning.state.records import Status, TrialRecord, scores_of

_FOR_GOOD = (Reason.EPOCHS, Reason.TARGET, Reason.PATIENCE)
"""Reasons that an extension does not lift, since it only adds trials; each is also the name of a key of `[search]`."""


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
    """Whether its folder must have that name; a default name that another search takes meanwhile is replaced."""
    more_trials: int | None = None
    """For an extension: the number of trials added to those there were."""
    extensions: int = 0
    """How often the search had been extended when this was ordered."""
    before: tuple[int, str | None] = (0, None)
    """For an extension: the trials and the time that `search.toml` has until the extension is entered."""
    notes: tuple[str, ...] = ()
    """Remarks to print about an old search that continues, one line each."""
    mirror: Mirror | None = None
    """The mirror, if `--storage` is a URI."""

    def check_still_right(self, history: History) -> None:
        """Check that the search is as it was before the folder was claimed; another program may have held it then.

        Raises:
            ConfigError: the search has been finished or extended meanwhile.
        """
        if (history.is_finished, history.extensions) != (self.more_trials is not None, self.extensions):
            raise ConfigError(
                f"--name {self.folder.name}: another program has finished or extended this search meanwhile; "
                "check its result and run the command again."
            )

    def enter(self, claim: Claim, space: Space) -> None:
        """Record that an old search has become longer; a kill may have left that half done."""
        if self.more_trials is not None:
            search = space.config.search
            told = {"trials": self.more_trials, "total": search.trials, "time": search.time}
            before = {"trials_before": self.before[0], "time_before": self.before[1]}
            claim.logbook.write(Entry.EXTENDED, **told, **before)
            claim.history.extend()
        if space_of(self.folder) != space:
            write_search_toml(self.folder, space, self.command)


def taken_up(folder: Path, command: str, address: str | None) -> Order:
    """An order to resume the search in a folder.

    Raises:
        ConfigError: there is none, its logbook is damaged, it is finished, or it has yet to start from other searches
            that are gone.
        InputError: its data or its teacher have changed.
    """
    space, history = _left_in(folder)
    if history.is_finished:
        raise ConfigError(f"--resume: {folder.name} is finished; --extend N adds N trials to it.")
    if not history.study_bytes:  # nothing has been learned from others yet
        check_others(space.config.search)
    if history.origin is not None:
        history.origin.check("--resume", folder, space)
    order = _going_on(space, history, folder, command, address)
    in_vain = [*_trials_in_vain(space, history), *_time_in_vain(space, history)]
    return replace(order, notes=(*in_vain, *order.notes))


def extended(folder: Path, more_trials: int, time: str | None, command: str, address: str | None) -> Order:
    """An order to add trials to the finished search in a folder; its time, if any, is counted anew.

    Raises:
        ConfigError: there is none, its logbook is damaged, it is not finished, or what ended it would end it again
            before another trial.
        InputError: its data or its teacher have changed.
    """
    space, history = _left_in(folder)
    if not history.is_finished:
        raise ConfigError(f"--extend: {folder.name} is not finished; go on with --resume first.")
    if why := _why_none_is_added(folder, space, history):
        raise ConfigError(
            f"--extend: {folder.name} would end again before another trial, since {why}; start a new search "
            f"with {_cure(space, why)}search.start_from = ['{folder}'], which knows its trials."
        )
    if history.origin is not None:
        history.origin.check("--extend", folder, space)
    longer = _longer(space, _trained(history) + more_trials, time)
    order = _going_on(longer, history, folder, command, address)
    return replace(order, more_trials=more_trials, before=_length(space))


def _going_on(space: Space, history: History, folder: Path, command: str, address: str | None) -> Order:
    if space.config.resources.lanes == "auto":
        raise ConfigError(
            f"resources.lanes: must be a number in the {SEARCH_TOML} of a search that goes on, but is 'auto', which is "
            "measured at its start; put back what was there, or begin a new search."
        )
    order = Order(space, folder.name, folder, command, address, is_new=False, extensions=history.extensions)
    edited = changes_in_words(history.own_parts, own_parts(space)) if history.records else []
    return replace(order, notes=tuple(edited))


def _trials_in_vain(space: Space, history: History) -> list[str]:
    """A warning if more trials are asked for after the search itself ended; only its confirmation is resumed."""
    planned, trained = space.config.search.trials, _trained(history)
    if history.ended_by != Reason.TRIALS or trained >= planned:
        return []
    return [
        f"warning: search.trials = {planned} has no effect, since the search itself has ended, with {trained} trials, "
        f"and only its confirmation goes on; once that is done, --extend {planned - trained} adds the others"
    ]


def _time_in_vain(space: Space, history: History) -> list[str]:
    """A warning if `search.time` was raised after it ended the search itself; only the confirmation can use it."""
    time, before = space.config.search.time, history.ended_with
    if history.ended_by != Reason.TIME or time is None or before is None:
        return []
    if parse_duration_s(time) <= parse_duration_s(before):
        return []
    return [
        f"warning: search.time = '{time}' adds no trial, since the search itself has ended, with {before}, and only "
        "its confirmation goes on; once that is done, --extend N adds some"
    ]


def _trained(history: History) -> int:
    return sum(record.status is not Status.INFEASIBLE for record in history.records.values())


def _cure(space: Space, why: str) -> str:
    """What an otherwise equal search needs besides `search.start_from`, to add trials and to learn from these."""
    search = space.config.search
    to_learn = [] if Sampler.of(search).learns_from_others else ["search.sampler = 'tpe'"]
    if why == _exhausted(search):
        return f"{to_learn[0] if to_learn else 'a different sampler'} and "
    return f"{', '.join(['a different limit', *to_learn])} and "


def _exhausted(search: SearchConfig) -> str:
    return f"{Sampler.of(search).ending} (search.sampler = '{search.sampler}')"


def _why_none_is_added(folder: Path, space: Space, history: History) -> str:
    """What has ended a search for good; empty if an extension would add trials."""
    search = space.config.search
    used_up = history.ended_by if history.ended_by in _FOR_GOOD else _used_up(search, list(history.records.values()))
    if used_up is not None:
        return f"{SENTENCES[Reason(used_up)]} (search.{used_up} = {getattr(search, used_up)})"
    sampler = Sampler.of(search)
    if sampler.tries_each_once or ":" in search.sampler:  # a custom one may stop the study too
        from distill_tune.tuning.proposals.study import is_exhausted  # here: it imports Optuna

        if is_exhausted(folder / JOURNAL):
            return _exhausted(search)
    return ""


def _used_up(search: SearchConfig, records: Sequence[TrialRecord]) -> Reason | None:
    """A budget used up besides the one that ended the search, such as by the last epochs of interrupted trials."""
    budget, spent = Budget.of(search), Spent()
    for record in records:
        for report in record.reports:
            spent.reach(record, report, scores_of(record, report, search.objectives))
    spent.take_up(records)
    budget.note(spent.epochs, spent.best, spent.ended_since_better)
    return budget.ended_by


def _left_in(folder: Path) -> tuple[Space, History]:
    """The space and history left by an earlier session; an extension is in the logbook before it is in `search.toml`.

    If `search.toml` still has the length from before, a kill came in between; any other length was edited in since.
    """
    check_is_ours(folder)
    space = space_of(folder)
    try:
        history = History.of(folder)
    except CacheError as error:  # nothing has begun yet, so this is bad input
        raise ConfigError(str(error)) from error
    if history.extended_to is None or history.extended_from not in (None, _length(space)):
        return space, history
    return _longer(space, *history.extended_to), history


def _length(space: Space) -> tuple[int, str | None]:
    return space.config.search.trials, space.config.search.time


def _longer(space: Space, trials: int, time: str | None) -> Space:
    space = space.with_fixed("search", "trials", trials).without("search", "time")
    return space if time is None else space.with_fixed("search", "time", time)
