"""The source that docs/data.md shows: rows of one file to learn from, those of another to be tested on."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import code_block

from distill_tune.config.sections import DataConfig
from distill_tune.data.build import build


def test_the_pages_source_tests_on_the_rows_of_the_second_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    for name, rows in (("january.csv", 60), ("february.csv", 20)):
        frame = pd.DataFrame({"a": random.normal(size=rows), "label": ["x", "y"] * (rows // 2)})
        frame.to_csv(tmp_path / name, index=False)
    (tmp_path / "two_files.py").write_text(code_block("docs/data.md", "two_files.py"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    try:
        config = DataConfig(source="two_files:TwoFiles")
        built, before = build(config), config.chosen("source").content(config)
        assert sorted(built.splits["test"]["index"]) == list(range(60, 80))
        (tmp_path / "february.csv").write_text("a,label\n1.5,x\n2.5,y\n")
        assert config.chosen("source").content(config) != before
    finally:
        sys.modules.pop("two_files", None)
