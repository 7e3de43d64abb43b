"""A search's report on its rungs can be written, whatever a custom judge has put there."""

from pathlib import Path

import numpy as np
import pytest

from distill_tune.export.result_folder import write_json
from distill_tune.tuning.schedulers import Rung
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.rungs import rung_report


@pytest.fixture
def ledger() -> Ledger:
    """Six completed trials, each better than the one before."""
    ledger = Ledger("val/loss")
    for number in range(6):
        record = TrialRecord(number, f"{number:04d}", {})
        ledger.start(record)
        ledger.report(record.trial_id, {"epoch": 3, "val/loss": 1.0 - number / 10})
        ledger.end(record, Status.COMPLETED)
    return ledger


def test_numbers_of_numpy_are_numbers(ledger: Ledger, tmp_path: Path) -> None:
    scores = dict(zip(ledger.records, np.linspace(-2, -1, 6, dtype=np.float32), strict=True))
    (found,) = rung_report([Rung(np.int64(1), scores, np.float32(-1.5))], ledger)  # type: ignore[arg-type]
    write_json(tmp_path / "summary.json", {"rungs": [found]})
    assert found == {"epochs": 1, "count": 6, "cutoff": 1.5, "rank_correlation": pytest.approx(1.0), "compared": 6}


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_cutoff_and_a_correlation_that_are_not_finite_are_none(ledger: Ledger, odd: float, tmp_path: Path) -> None:
    scores = {**dict.fromkeys(ledger.records, 0.5), "0000": np.nan}
    (found,) = rung_report([Rung(1, scores, odd)], ledger)
    write_json(tmp_path / "summary.json", {"rungs": [found]})
    assert found == {"epochs": 1, "count": 6, "cutoff": None, "rank_correlation": None, "compared": 6}
