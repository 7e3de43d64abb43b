"""The source in docs/data.md: it learns from the rows of one file and is tested on those of another."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import code_block

from distill_tune.config.sections import DataConfig
from distill_tune.data.build import build
from distill_tune.data.inputs import read_inputs


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataConfig]:
    """The page's source, in a folder with its two files, whose texts pandas could take for gaps."""
    random = np.random.default_rng(0)
    for name, rows in (("january.csv", 60), ("february.csv", 20)):
        texts = [("NA", "", "x")[row % 3] for row in range(rows)]
        frame = pd.DataFrame({"a": random.normal(size=rows), "where": texts, "label": ["x", "NA"] * (rows // 2)})
        frame.to_csv(tmp_path / name, index=False)
    (tmp_path / "two_files.py").write_text(code_block("docs/data.md", "two_files.py"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield DataConfig(source="two_files:TwoFiles")
    sys.modules.pop("two_files", None)


def test_the_pages_source_tests_on_the_rows_of_the_second_file(config: DataConfig) -> None:
    built, before = build(config), config.chosen("source").content(config)
    assert sorted(built.splits["test"]["index"]) == list(range(60, 80))
    Path("february.csv").write_text("a,where,label\n1.5,x,x\n2.5,x,NA\n")
    assert config.chosen("source").content(config) != before


def test_the_pages_source_reads_words_as_predict_reads_them(config: DataConfig) -> None:
    built = build(config)
    assert built.classes == ("NA", "x")
    test, said = built.splits["test"], list[str]()
    rows = read_inputs(Path("february.csv"), built.encoder, built.input_shape, said.append)
    np.testing.assert_array_equal(rows[test["index"] - 60], test["inputs"])
    assert said == []
