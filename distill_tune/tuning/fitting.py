"""Fitting a space to its data, its time and this machine, before anything is trained.

Limits that no student can meet are refused; what the configuration leaves to the machine (`optim.precision = "auto"`)
or what the time cannot pay for (`search.max_epochs`) is settled here, once, so that all trials share it and
`search.toml` records it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from distill_tune.config import Space, parse_duration_s
from distill_tune.data import Dataset
from distill_tune.tuning.cluster import places_of_this_machine
from distill_tune.tuning.estimate import chosen_precision, estimated_epoch_s
from distill_tune.tuning.limits import Limits, check_some_student_fits
from distill_tune.tuning.plan import affordable_epochs


@dataclass(frozen=True)
class Fitted:
    """A space that can be searched here."""

    space: Space
    tables: dict[str, Any]
    """The space as read, ranges included."""
    limits: Limits

    def with_fixed(self, section: str, key: str, value: Any) -> Fitted:
        """The same with another value at a key that is no range."""
        tables = {**self.tables, section: {**self.tables.get(section, {}), key: value}}
        return replace(self, space=self.space.with_fixed(section, key, value), tables=tables)


def fit(space: Space, tables: dict[str, Any], dataset: Dataset, say: Callable[[str], None]) -> Fitted:
    """Settle what the space leaves open.

    Raises:
        ConfigError: no student of the space is within its limits, or fits the data.
    """
    limits = Limits(space.config.limits, dataset)
    check_some_student_fits(space, limits)
    return _to_time(_to_machine(Fitted(space, tables, limits), dataset), dataset, say)


def _to_machine(fitted: Fitted, dataset: Dataset) -> Fitted:
    """On GPUs each worker knows its precision by itself; on CPUs it is measured."""
    config = fitted.space.config
    is_open = config.optim.precision == "auto" and ("optim", "precision") not in fitted.space.ranges
    if not is_open or config.resources.gpus_per_worker:
        return fitted
    return fitted.with_fixed("optim", "precision", chosen_precision(fitted.space, dataset))


def _to_time(fitted: Fitted, dataset: Dataset, say: Callable[[str], None]) -> Fitted:
    """Where the time cannot pay for the full budget and a confirmation of it, the full budget is lowered."""
    config = fitted.space.config
    if config.search.time is None:
        return fitted
    places, total_s = places_of_this_machine(config.resources), parse_duration_s(config.search.time)
    epochs = affordable_epochs(config, estimated_epoch_s(fitted.space, dataset), total_s, places)
    if epochs >= config.search.max_epochs:
        return fitted
    say(f"{config.search.time} pay for {epochs} epochs a training, not {config.search.max_epochs}")
    return fitted.with_fixed("search", "max_epochs", epochs)
