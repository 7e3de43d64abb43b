"""What TensorBoard draws of each trial: its reports as one series of scalars, while it runs and once it has ended."""

import html
import math
import os
import time
from pathlib import Path

import markdown
import psutil
import pytest
from shown_trials import hparams_backend, read, report, series, trial, words
from tensorboard.plugins.hparams import api_pb2, metadata

from distill_tune.config.space import Space
from distill_tune.errors import one_line
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status


def test_a_trial_that_nobody_ended_is_interrupted_when_the_search_is_over(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    assert metadata.SESSION_END_INFO_TAG in read(tmp_path / "0011").Tags()["tensors"]
    assert words(tmp_path / "0011", "outcome").startswith("**interrupted**")


def test_an_infeasible_trial_has_no_run_but_is_counted(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    assert not (tmp_path / "0012").exists()
    assert series(tmp_path / "search", "search/infeasible")[-1] == (12, 1.0)


def test_scalars_are_the_reports_without_epoch_and_times(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    assert series(tmp_path / "0000", "val/accuracy") == [(1, 0.3), (2, 0.5), (3, 0.4)]
    assert series(tmp_path / "0000", "best/val/accuracy") == [(1, 0.3), (2, 0.5), (3, 0.5)]
    tags = set(read(tmp_path / "0000").Tags()["scalars"])
    assert tags == {
        "val/accuracy",
        "best/val/accuracy",
        "train/loss",
        "trial/epochs",
        "trial/parameters",
        "trial/multiply_adds",
    }


def test_the_best_loss_is_the_smallest(space: Space, tmp_path: Path) -> None:
    ledger = Ledger("val/loss", [TensorBoardWatcher(tmp_path, space, "val/loss")])
    record = trial(space, 0)
    ledger.start(record)
    for epoch, loss in enumerate((2.0, 1.0, 1.5), 1):
        ledger.report("0000", {"epoch": epoch, "val/loss": loss})
    ledger.close()
    assert series(tmp_path / "0000", "best/val/loss") == [(1, 2.0), (2, 1.0), (3, 1.0)]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e300])
def test_what_cannot_be_drawn_is_left_out(space: Space, tmp_path: Path, number: float) -> None:
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    record = trial(space, 0)
    ledger.start(record)
    ledger.report("0000", report(1, 0.5))
    ledger.report("0000", {"epoch": 2, "val/accuracy": number, "train/loss": number, "gap/accuracy": 0.1})
    ledger.end(record, Status.FAILED, "diverged")
    ledger.close()
    assert [step for step, _ in series(tmp_path / "0000", "train/loss")] == [1]
    assert series(tmp_path / "0000", "gap/accuracy") == [(2, 0.1)]


def test_a_reader_sees_a_report_of_a_trial_that_still_runs(space: Space, tmp_path: Path) -> None:
    watcher = TensorBoardWatcher(tmp_path, space, "val/accuracy")
    record = trial(space, 0)
    record.reports = [report(1, 0.5)]
    watcher.trial_started(record)
    assert series(tmp_path / "0000", "val/accuracy") == [(1, 0.5)]
    watcher.close()


def test_a_trial_that_is_begun_again_leaves_one_story(space: Space, tmp_path: Path) -> None:
    record = trial(space, 0)
    first = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    first.start(record)
    first.report("0000", report(1, 0.5))
    first.end(record, Status.INTERRUPTED)
    first.close()
    again = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    record.status = Status.RUNNING
    again.start(record)
    again.report("0000", report(2, 0.6))
    again.end(record, Status.COMPLETED)
    again.close()
    assert series(tmp_path / "0000", "val/accuracy") == [(1, 0.5), (2, 0.6)]
    _, groups = hparams_backend(tmp_path)
    assert groups["0000"].sessions[0].status == api_pb2.STATUS_SUCCESS


def test_only_running_trials_hold_a_file_open(ledger: Ledger, tmp_path: Path) -> None:
    files = (Path(file.path) for file in psutil.Process().open_files())
    open_folders = {file.parent.name for file in files if tmp_path in file.parents}
    assert open_folders == {"search", "0011"}


def test_a_message_that_is_no_utf_8_is_shown_with_its_odd_letters_written_out(space: Space, tmp_path: Path) -> None:
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    record = trial(space, 0)
    ledger.start(record)
    ledger.end(record, Status.FAILED, one_line(ValueError(f"cannot use {os.fsdecode(b'a' + bytes([255]) + b'.npy')}")))
    ledger.close()
    assert words(tmp_path / "0000", "outcome") == r"**failed** `ValueError: cannot use a\udcff.npy`"


def test_a_message_is_shown_as_it_was_written_though_it_has_markup(space: Space, tmp_path: Path) -> None:
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    message = "TypeError: Net.__init__() got an unexpected keyword `width` in a*b*c <i>"
    ledger.start(trial(space, 0))
    ledger.end(ledger.records["0000"], Status.FAILED, message)
    ledger.close()
    page = markdown.markdown(words(tmp_path / "0000", "outcome"))  # as TensorBoard renders it
    assert html.unescape(page) == f"<p><strong>failed</strong> <code>{message}</code></p>"


def test_a_trial_that_goes_on_keeps_the_times_of_its_earlier_epochs(space: Space, tmp_path: Path) -> None:
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    record = trial(space, 0)
    record.reports, record.heard_s = [report(1, 0.5), report(2, 0.6)], {1: 1000.0, 2: 2000.0}
    ledger.know(record)
    ledger.start(record)
    before_s = time.time()
    ledger.report("0000", report(3, 0.7))
    ledger.close()
    *earlier, last = [event.wall_time for event in read(tmp_path / "0000").Scalars("val/accuracy")]
    assert earlier == [1000.0, 2000.0]
    assert before_s <= last <= time.time()
