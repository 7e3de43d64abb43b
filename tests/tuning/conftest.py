"""A small prepared search, its winner and a real Ray, for the tests that need them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from distill_tune.config.space import Space

sys.path.insert(0, str(Path(__file__).parent))  # `small`, and a custom loss that Ray's workers import too

from small import TABLES, VALUES


@pytest.fixture(scope="session")
def small_space() -> Space:
    return Space.parse(TABLES)


@pytest.fixture(scope="session")
def preparation(small_space: Space, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from distill_tune.distillation.preparation.prepare import prepare

    return prepare(small_space, tmp_path_factory.mktemp("cache"), lambda line: None)


@pytest.fixture(scope="module")
def winner(small_space: Space) -> Any:
    """The candidate of trial 7, to be trained again in two seeds."""
    from distill_tune.tuning.state.records import TrialRecord
    from distill_tune.tuning.verdict.candidate import Candidate, fresh_seeds

    config = small_space.at(VALUES)
    record = TrialRecord(
        7, "0007", VALUES, parameters=200, reports=[{"epoch": 9, "val/accuracy": 0.9, "val/loss": 0.3}]
    )
    return Candidate("trial-0007", config, fresh_seeds(config, 2), record)


@contextmanager
def ray_with(*, dashboard: bool) -> Iterator[Any]:
    """Three places of a real Ray, started as a search starts its own."""
    import ray

    from distill_tune.tuning.cluster.connection import QUIET
    from distill_tune.tuning.cluster.own_ray import start_own_ray

    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        yield start_own_ray(dashboard, log_to_driver=False, num_cpus=3, logging_level="ERROR")
        ray.shutdown()
        os.environ.pop("RAY_ADDRESS", None)  # a group of several workers in this process has set it


@pytest.fixture(scope="module")
def a_ray() -> Iterator[None]:
    with ray_with(dashboard=False):
        yield


@pytest.fixture(scope="module")
def a_ray_with_dashboard() -> Iterator[str]:
    """The dashboard's address; several workers per trial need its state API."""
    with ray_with(dashboard=True) as context:
        yield f"http://{context.dashboard_url}"
