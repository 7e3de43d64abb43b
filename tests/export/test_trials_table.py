"""What `trials.parquet` can hold: choices among values of any kind."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from distill_tune.export.trials_table import write_trials


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([4, 0.5], [4.0, 0.5]),
        ([0.5, 4], [0.5, 4.0]),
        ([True, False], [True, False]),
        (["gelu", "relu"], ["gelu", "relu"]),
        ([[8], [20, 20]], ["[8]", "[20, 20]"]),
        ([False, "batch"], ["false", '"batch"']),
        ([4, "auto"], ["4", '"auto"']),
        (["auto", 4], ['"auto"', "4"]),
        ([True, 0.5], ["true", "0.5"]),
        ([[8], "auto"], ["[8]", '"auto"']),
        ([2**70, 3], [str(2**70), "3"]),
        ([2**60 + 1, 0.5], [str(2**60 + 1), "0.5"]),
    ],
    ids=str,
)
def test_values_of_one_kind_stay_what_they_are_and_others_are_json(
    tmp_path: Path, values: list[Any], written: list[Any]
) -> None:
    write_trials(tmp_path / "trials.parquet", [{"trial": 0}, *({"config/some.key": value} for value in values)])
    assert pq.read_table(tmp_path / "trials.parquet").to_pydict() == {
        "trial": [0, None, None],
        "config/some.key": [None, *written],
    }
