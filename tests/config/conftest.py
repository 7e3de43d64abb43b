"""A fixture that makes user modules."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.register_assert_rewrite("refusals")  # so that failures there are shown in full


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """`own_module("my_models", "def build(input_shape, classes): ...")` makes a module importable by name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> None:
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text)

    return write
