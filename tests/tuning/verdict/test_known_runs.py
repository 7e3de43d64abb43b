"""Which runs a resumed confirmation does not repeat: those whose students exist and are whole."""

from pathlib import Path

import pytest
import torch
from small import TABLES, VALUES

from distill_tune.config import Space
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.confirmation_runs import WEIGHTS, ConfirmationRuns
from distill_tune.tuning.verdict.training import Training
from distill_tune.tuning.workers.checkpoints import checkpoint_of
from distill_tune.tuning.workers.files import HERE
from distill_tune.tuning.workers.keeping import fold_weights
from distill_tune.weights import write_weights


@pytest.mark.parametrize("damaged", ["", "student", "fold"])
@pytest.mark.parametrize("kept", [0, 20, -1])
def test_a_run_whose_student_a_lost_machine_has_not_kept_whole_is_made_again(
    damaged: str, kept: int, tmp_path: Path
) -> None:
    """Its disk had the entry of the complete run and the file's name, but not all of the file's content."""
    space = Space.parse({**TABLES, "data": {**TABLES["data"], "folds": 2}})
    candidate = Candidate("trial-0007", space.at(VALUES), [1000], TrialRecord(7, "0007", VALUES))
    name = candidate.run_name(1000)
    student = tmp_path / WEIGHTS / f"{name}.safetensors"
    files = {"student": student, "fold": fold_weights(student, 1)}
    for path in (student, fold_weights(student, 0), fold_weights(student, 1)):
        write_weights(path, {"weight": torch.ones(8)})
    if damaged:
        files[damaged].write_bytes(files[damaged].read_bytes()[:kept])
    report = {"epoch": 9.0, "val/accuracy": 0.5}
    known = {name: TrialRecord(-1, name, VALUES, status=Status.COMPLETED, reports=[report])}
    runs = ConfirmationRuns(Ledger(), known, tmp_path, Prepared(tmp_path, None), HERE)
    assert runs.is_known(candidate, 1000) is not bool(damaged)
    assert [*candidate.reports] == ([] if damaged else [1000])


def test_a_baseline_of_another_winner_is_made_again(tmp_path: Path) -> None:
    """It has the same name and the same seed."""
    values = [{**VALUES, "optim.learning_rate": rate} for rate in (0.01, 0.02)]
    space = Space.parse({**TABLES, "optim": {"learning_rate": {"log": [0.001, 0.1]}}})
    ours, theirs = (
        Candidate("no_teacher", space.at(each), [1000], TrialRecord(number, f"{number:04d}", each))
        for number, each in enumerate(values)
    )
    name = ours.run_name(1000)
    write_weights(tmp_path / WEIGHTS / f"{name}.safetensors", {"weight": torch.ones(8)})
    report = {"epoch": 9.0, "val/accuracy": 0.5}
    known = {name: TrialRecord(-1, name, values[0], status=Status.COMPLETED, reports=[report])}
    runs = ConfirmationRuns(Ledger(), known, tmp_path, Prepared(tmp_path, None), HERE)
    assert not runs.is_known(theirs, 1000)
    assert runs.is_known(ours, 1000)


def test_nor_does_it_go_on_from_where_that_of_another_winner_was(tmp_path: Path) -> None:
    ours, theirs = (
        Candidate("no_teacher", Space.parse(TABLES).at(VALUES), [1000], TrialRecord(number, f"{number:04d}", values))
        for number, values in enumerate([VALUES, {**VALUES, "optim.learning_rate": 0.01}])
    )
    name = ours.run_name(1000)
    checkpoint = checkpoint_of(tmp_path, name)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    known = {name: TrialRecord(-1, name, VALUES, reports=[{"epoch": 3.0, "val/accuracy": 0.5}])}
    taken = [
        ConfirmationRuns(Ledger(), dict(known), tmp_path, Prepared(tmp_path, None), HERE).take(Training(each, 1000, 1))
        for each in (ours, theirs)
    ]
    assert [work.record.epochs for work in taken] == [3, 0]
    assert not checkpoint.exists()
