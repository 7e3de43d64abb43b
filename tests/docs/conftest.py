"""The examples of docs/your_own_parts.md as a user would write them, and the first of them on little data."""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import code_block

from distill_tune.config import Space
from distill_tune.distillation.preparation.prepare import Preparation, prepare


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the page's custom modules and a space, on the module path."""
    folder = tmp_path_factory.mktemp("own_parts")
    for name in ("my_parts.py", "my_space.toml", "my_images.py"):
        (folder / name).write_text(code_block("docs/your_own_parts.md", name))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
        for name in ("my_parts", "my_images"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def own_space(example: Path) -> Space:
    """The example on little data."""
    tables = tomllib.loads((example / "my_space.toml").read_text())
    tables["data"]["my_parts:Spirals"]["samples"] = 200
    tables["teacher"]["train"]["epochs"] = 2
    return Space.parse({**tables, "search": {"max_epochs": 2}})


@pytest.fixture(scope="module")
def preparation(own_space: Space, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    return prepare(own_space, tmp_path_factory.mktemp("cache"), lambda line: None)
