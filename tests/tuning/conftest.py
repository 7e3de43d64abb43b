"""A small prepared search and a real Ray, for the tests that need them."""

from collections.abc import Iterator
from typing import Any

import pytest

from distill_tune.config.space import Space

TABLES: dict[str, Any] = {
    "data": {"source": "blobs", "blobs": {"samples": 600, "features": 8, "classes": 4, "informative": 6}},
    "teacher": {"source": "train", "family": "mlp", "mlp": {"widths": [32]}, "train": {"epochs": 3}},
    "student": {"family": "mlp", "mlp": {"widths": {"choice": [[8], [12], [16]]}}},
    "loss": {"temperature": {"log": [1.0, 8.0]}},
    "optim": {"learning_rate": {"log": [1e-3, 3e-2]}, "batch_size": 64},
    "search": {"max_epochs": 9, "trials": 8},
}


@pytest.fixture(scope="session")
def small_space() -> Space:
    return Space.parse(TABLES)


@pytest.fixture(scope="session")
def preparation(small_space: Space, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from distill_tune.distillation.prepare import prepare

    return prepare(small_space, tmp_path_factory.mktemp("cache"), lambda line: None)


@pytest.fixture(scope="module")
def a_ray() -> Iterator[str]:
    """Three places of a real Ray, with the dashboard's state API, whose address is given."""
    import ray

    from distill_tune.tuning.cluster import QUIET

    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        context = ray.init(
            address="local", num_cpus=3, include_dashboard=True, log_to_driver=False, logging_level="ERROR"
        )
        yield f"http://{context.dashboard_url}"
        ray.shutdown()
