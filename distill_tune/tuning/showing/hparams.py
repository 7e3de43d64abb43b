"""The data for TensorBoard's HParams page: parameters and metrics once, and each trial's start and end.

The page needs one experiment description in one run, a start in every trial's run and an end when it ends
(`tensorboard/plugins/hparams/api.proto`). It cannot sort a column that mixes numbers and words, drops NaN, and its
parallel coordinates leave out every trial that lacks a value in a visible column. So a parameter that some trials do
not have is written as words, one of them "none", if it has few values; if it has many it stays a number, which those
trials lack. The columns that every trial fills come first, and the first five are visible initially.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from distill_tune.config.corners import of_some_trial
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice, Interval, Range
from distill_tune.config.space import Space
from distill_tune.tuning.showing.wording import short_names
from distill_tune.tuning.state.records import Status, TrialRecord

ABSENT = "none"
VISIBLE = 5
"""Columns of parameters, and of metrics, that the page shows initially."""
FEW = 16
"""An optional range of at most this many integers is shown as words."""

STATUSES = {
    Status.COMPLETED: api_pb2.STATUS_SUCCESS,
    Status.PAUSED: api_pb2.STATUS_SUCCESS,
    Status.STOPPED: api_pb2.STATUS_SUCCESS,
    Status.FAILED: api_pb2.STATUS_FAILURE,
    Status.INTERRUPTED: api_pb2.STATUS_UNKNOWN,
}


@dataclass(frozen=True)
class Column:
    """One searched parameter."""

    name: str
    values: tuple[Any, ...] | None
    """Its values if it is described by values; None if by its interval."""
    interval: Interval | None
    optional: bool
    """Whether some trials do not have it."""

    @property
    def as_words(self) -> bool:
        """Whether its values are written as text: if they are text, lists or mixed, or if it is optional."""
        kinds = {_kind(value) for value in self.values or ()}
        return self.values is not None and (self.optional or len(kinds) > 1 or kinds <= {str, list})

    def shown(self, value: Any) -> Any:
        """A trial's value as written for the page: a number, a boolean or text."""
        if not self.as_words:
            return value
        return value if isinstance(value, str) else json.dumps(value)

    def info(self, display_name: str, first: bool) -> Any:
        """The column's `HParamInfo`; the page puts those that are `first` (`differs`) before the others."""
        info = api_pb2.HParamInfo(name=self.name, display_name=display_name, differs=first)
        if self.interval is not None:
            info.type = api_pb2.DATA_TYPE_FLOAT64
            info.domain_interval.min_value = self.interval.low
            info.domain_interval.max_value = self.interval.high
            return info
        shown = [self.shown(value) for value in self.values or ()]
        kinds = {bool: api_pb2.DATA_TYPE_BOOL, str: api_pb2.DATA_TYPE_STRING}
        info.type = kinds.get(type(shown[0]), api_pb2.DATA_TYPE_FLOAT64)
        info.domain_discrete.extend([ABSENT, *shown] if self.as_words and self.optional else shown)
        return info


def columns_of(space: Space) -> list[Column]:
    """The searched parameters of a space, in its order, without those that no trial has."""
    common = _in_every_trial(space)
    return [_column(dotted(path), found, dotted(path) not in common) for path, found in of_some_trial(space).items()]


def experiment(columns: list[Column], metrics: dict[str, str]) -> Any:
    """The description of the search; `metrics` maps scalar tags to display names, the most informative first."""
    names = short_names(column.name for column in columns)
    first = _first(columns)
    about = api_pb2.Experiment(
        hparam_infos=[column.info(names[column.name], column in first) for column in columns],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name) for tag, name in metrics.items()
        ],
    )
    return _value(metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=about))


def _first(columns: list[Column]) -> list[Column]:
    """The columns to show initially, in the space's order, student first; the page sorts them by name.

    Every trial must fill them; if too few are mandatory, optional ones written as words are added ("none" fills them).
    """
    filled = [column for column in columns if not column.optional]
    filled += [column for column in columns if column.optional and column.as_words] if len(filled) < VISIBLE else []
    return filled[:VISIBLE]


def session_start(record: TrialRecord, columns: Iterable[Column], search: str = "") -> Any:
    """A trial's hyperparameters; runs of one group are seeds of one configuration and share a row.

    Trials of two searches may have the same numbers: `search`, a prefix of the row's name, keeps them apart.
    """
    row = f"{search}{record.group or record.trial_id}"
    about = plugin_data_pb2.SessionStartInfo(group_name=row, start_time_secs=record.started_s)
    for column in columns:
        if column.name in record.values:
            _put(about.hparams[column.name], column.shown(record.values[column.name]))
        elif column.as_words and column.optional:
            _put(about.hparams[column.name], ABSENT)
    return _value(metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=about))


def session_end(record: TrialRecord) -> Any:
    """How a trial ended."""
    about = plugin_data_pb2.SessionEndInfo(status=STATUSES[final_status(record)], end_time_secs=record.ended_s or 0.0)
    return _value(metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=about))


def final_status(record: TrialRecord) -> Status:
    """A trial's status once the search is over: one that was still running is interrupted."""
    return Status.INTERRUPTED if record.status is Status.RUNNING else record.status


def _put(slot: Any, value: Any) -> None:
    setattr(slot, {bool: "bool_value", str: "string_value"}.get(type(value), "number_value"), value)


def _column(name: str, found: Range, optional: bool) -> Column:
    if isinstance(found, Choice):
        return Column(name, found.values, None, optional)
    if optional and found.integer and found.high - found.low < FEW:
        return Column(name, tuple(range(int(found.low), int(found.high) + 1)), None, optional)
    return Column(name, None, found, optional)


def _kind(value: Any) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def _in_every_trial(space: Space) -> set[str]:
    """Names that exist whatever is chosen.

    A name's existence depends on one choice at a time, never on one of numbers except the weight of a loss term, so it
    is enough to make each pair of choice and weight once.
    """
    choices = {dotted(path): found.values for path, found in space.ranges.items() if isinstance(found, Choice)}
    weights = max((len(values) for name, values in choices.items() if _is_weight(name)), default=1)
    most = max(
        (len(values) for name, values in choices.items() if not _is_weight(name) and _decides(values)), default=1
    )
    turns = product(range(most), range(weights))
    return set.intersection(*(set(space.suggest(_Nth(*pair))) for pair in turns))


def _is_weight(name: str) -> bool:
    return name.startswith("loss.also.")


def _decides(values: tuple[Any, ...]) -> bool:
    return any(_kind(value) is not float for value in values)


class _Nth:
    """A stand-in for a trial that takes the nth value of each choice, and the mth smallest weight of each further term.

    So one of them has no further terms, in whatever order their weights are listed.
    """

    def __init__(self, turn: int, weight: int):
        self._turn, self._weight = turn, weight

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        if _is_weight(name):
            return sorted(choices)[self._weight % len(choices)]
        return choices[self._turn % len(choices)]

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return high if _is_weight(name) else low  # a weight of exactly 0 is not drawn


def _value(tag: str, content: Any) -> Any:
    about = metadata.create_summary_metadata(content)
    return Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)
