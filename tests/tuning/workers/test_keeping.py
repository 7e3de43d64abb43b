"""What trainings leave on disk, and what removes it."""

import subprocess
import sys
from pathlib import Path

import pytest
from ray.exceptions import ActorUnavailableError, OutOfMemoryError

from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.workers.checkpoints import (
    CHECKPOINTS,
    CheckpointSweeper,
    checkpoint_of,
    drop_checkpoints_of_others,
)
from distill_tune.tuning.workers.faults import log_fault, spoils_process
from distill_tune.tuning.workers.files import HERE


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A search whose trials each left a checkpoint."""
    for trial in ("0000", "0001", "0002"):
        path = checkpoint_of(tmp_path, trial)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return Ledger(watchers=[CheckpointSweeper(tmp_path)])


def left(folder: Path) -> set[str]:
    return {path.stem for path in (folder / CHECKPOINTS).glob("*")}


def record(trial: str, status: Status = Status.RUNNING) -> TrialRecord:
    return TrialRecord(int(trial), trial, {}, status=status)


def test_a_checkpoint_goes_with_its_training_and_the_folder_with_the_last(ledger: Ledger, tmp_path: Path) -> None:
    for trial, rest in (("0000", {"0001", "0002"}), ("0001", {"0002"}), ("0002", set())):
        ledger.start(record(trial))
        ledger.end(ledger.records[trial], Status.COMPLETED)
        assert left(tmp_path) == rest
    ledger.close()
    assert not (tmp_path / CHECKPOINTS).exists()


@pytest.mark.parametrize("goes_on_later", [False, True])
def test_what_killed_writers_have_left_half_written_is_swept_at_the_end(tmp_path: Path, goes_on_later: bool) -> None:
    half = half_written(checkpoint_of(tmp_path, "0000"))
    assert half.stat().st_size
    checkpoint_of(tmp_path, "0000").touch()
    ledger = Ledger(watchers=[CheckpointSweeper(tmp_path)])
    ledger.start(only := record("0000"))
    only.goes_on_later = goes_on_later
    ledger.end(only, Status.INTERRUPTED)
    ledger.close()
    assert not half.exists()
    assert (tmp_path / CHECKPOINTS).exists() is goes_on_later


WRITER = """
import os, sys
from pathlib import Path
from distill_tune.atomic import new_file

with new_file(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half of it")
    print(temporary, flush=True)
    os.kill(os.getpid(), 9)
"""


def half_written(path: Path) -> Path:
    """The file of a writer that was killed before finishing it."""
    died = subprocess.run([sys.executable, "-c", WRITER, str(path)], capture_output=True, text=True, check=False)
    return Path(died.stdout.strip())


def test_a_training_that_goes_on_later_keeps_its_own(ledger: Ledger, tmp_path: Path) -> None:
    ledger.start(later := record("0000"))
    later.goes_on_later = True
    ledger.end(later, Status.INTERRUPTED)
    ledger.close()
    assert "0000" in left(tmp_path)


def test_what_a_killed_session_had_not_swept_is_swept_by_the_next(ledger: Ledger, tmp_path: Path) -> None:
    for trial, status in (("0000", Status.COMPLETED), ("0001", Status.STOPPED), ("0002", Status.PAUSED)):
        ledger.know(record(trial, status))
    assert left(tmp_path) == {"0002"}


def test_a_checkpoint_of_a_training_that_is_not_known_is_no_other_trials(ledger: Ledger, tmp_path: Path) -> None:
    drop_checkpoints_of_others(tmp_path, {"0000", "0002", "confirm-trial-0000-seed1000"})
    assert left(tmp_path) == {"0000", "0002"}
    drop_checkpoints_of_others(tmp_path / "of a new search", {})
    assert not (tmp_path / "of a new search").exists()


def test_what_a_training_raised_stands_behind_what_it_raised_before(tmp_path: Path) -> None:
    for error in (ValueError("first"), KeyError("second")):
        log_fault(HERE, tmp_path, "0007", error)
    said = (tmp_path / "logs" / "0007.txt").read_text()
    assert said.index("ValueError: first") < said.index("KeyError: 'second'")


def test_a_log_that_cannot_be_written_makes_a_fault_no_worse(tmp_path: Path) -> None:
    log_fault(HERE, tmp_path, "0007", ValueError("a path with \udcff in it"))
    assert "\\udcff" in (tmp_path / "logs" / "0007.txt").read_text(encoding="utf-8")
    (tmp_path / "file").touch()
    log_fault(HERE, tmp_path / "file", "0007", ValueError("where no folder can be"))


@pytest.mark.parametrize(
    ("error", "spoils"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), False),
        (ValueError("the user's own"), False),
        (ActorUnavailableError("its node is out of memory", None), True),
        (OutOfMemoryError("killed by the memory monitor"), True),
    ],
)
def test_a_process_is_spoilt_by_what_its_gpu_or_its_lost_mailbox_does_not_recover_from(
    error: Exception, spoils: bool
) -> None:
    assert spoils_process(error) is spoils
