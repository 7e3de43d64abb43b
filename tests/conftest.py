"""Small runs that all tests share, prepared once; `runs.py` defines them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from runs import IMAGES, run_space

from distill_tune.config import Config, Space

# Children would inherit the signals that a background job or nohup ignores; a handler is not inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)
# How fast examples are generated or run says nothing about correctness.
settings.register_profile("no_clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no_clock")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """If processes share the tests (`make test`), start with the long Ray tests and fill the end with short ones."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("ray") is None)


@pytest.fixture(scope="module", autouse=True)
def _modules_of_the_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget modules that a file's tests wrote and imported, so that they hide no namesakes from later files."""
    yield
    written = str(tmp_path_factory.getbasetemp())
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(written):
            del sys.modules[name]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for the results of a file's searches."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of an S3 server."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """An empty bucket called `bucket`, reachable from here."""
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": server,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    found = boto3.resource("s3", region_name="us-east-1").Bucket("bucket")
    found.create()
    yield found
    found.objects.delete()


@pytest.fixture
def table_space() -> Callable[..., Space]:
    """`table_space(loss={"temperature": 2.0})`: a small run on made-up rows with a trained teacher."""
    return run_space


@pytest.fixture
def image_space() -> Callable[..., Space]:
    """Like `table_space`, on scikit-learn's digits."""
    return lambda **sections: run_space(IMAGES, **sections)


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Space], tuple[Config, Any]]:
    """`ready(space)`: config and `Preparation`, from a cache that all tests share, so each teacher trains once."""
    cache: Path = tmp_path_factory.mktemp("shared-cache")

    def made(space: Space) -> tuple[Config, Any]:
        from distill_tune.distillation.preparation.prepare import prepare

        return space.config, prepare(space, cache, lambda line: None)

    return made
