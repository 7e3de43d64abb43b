"""Values that Optuna samples from a space."""

from typing import Any

import optuna
from hypothesis import strategies as st

from distill_tune.config import Space, Values

SEEDS = st.integers(0, 2**32 - 1)
BASE = {"data": {"source": "digits"}, "student": {"family": "mlp"}}


optuna.logging.set_verbosity(optuna.logging.WARNING)


def sample(space: Space, seed: int = 0, sampler: type[optuna.samplers.BaseSampler] | None = None) -> Values:
    study = optuna.create_study(sampler=(sampler or optuna.samplers.RandomSampler)(seed=seed))  # type: ignore[call-arg]
    return space.suggest(study.ask())


def value_at(tables: dict[str, Any], dotted: str) -> Any:
    for part in dotted.split("."):
        tables = tables[part]
    return tables
