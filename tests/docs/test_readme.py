"""A new user's first custom search, as in README.md, on a table like the one it describes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import code_block

from distill_tune import search
from distill_tune.version import __version__


def test_the_space_of_the_readme_is_planned_for_a_table_with_numbers_words_and_gaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_space.toml").write_text(code_block("README.md", "my_space.toml"))
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=["pressure", "flow", "heat"])
    rows.loc[::9, "flow"] = None
    rows.assign(site=["north", "south"] * 100, state=["ok", "leak", "off", "ok"] * 50).to_csv(
        "sensors.csv", index=False
    )
    assert search.main(["my_space.toml", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "3 classes" in said
    assert not Path("results").exists()


@pytest.mark.parametrize("module", ["search", "train", "predict"])
def test_every_command_says_its_version(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    import importlib

    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"distill_tune.{module}").main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"distill_tune {__version__}\n"
