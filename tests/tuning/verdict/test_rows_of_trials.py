"""A trial's row in `trials.parquet`: what it does not have is null."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from distill_tune.export.trials_table import write_trials
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.summary import row_of


def table_of(folder: Path, *records: TrialRecord) -> pa.Table:
    write_trials(folder / "trials.parquet", [row_of(record) for record in records])
    return pq.read_table(folder / "trials.parquet")


def ended(number: int, status: Status, message: str = "", parameters: int = 0, multiply_adds: int = 0) -> TrialRecord:
    record = TrialRecord(number, f"{number:04d}", {}, parameters=parameters, multiply_adds=multiply_adds)
    Ledger().end(record, status, message)
    return record


def test_a_student_that_cannot_be_built_has_no_size_and_a_trial_without_a_fault_no_message(tmp_path: Path) -> None:
    why = "student.mlp.widths: must be narrower"
    known = (
        ended(0, Status.INFEASIBLE, why),
        ended(1, Status.COMPLETED, parameters=90),  # a network of one's own may do what nobody counts
        ended(2, Status.INFEASIBLE, "over max_parameters 100 (150)", 150, 140),
    )
    found = table_of(tmp_path, *known)
    assert found["parameters"].to_pylist() == [None, 90, 150]
    assert found["multiply_adds"].to_pylist() == [None, 0, 140]
    assert found["message"].to_pylist() == [why, None, "over max_parameters 100 (150)"]


def test_messages_are_text_though_no_trial_has_one(tmp_path: Path) -> None:
    found = table_of(tmp_path, ended(0, Status.COMPLETED, parameters=90))
    assert found["message"].type == pa.string()
    assert found["message"].to_pylist() == [None]
