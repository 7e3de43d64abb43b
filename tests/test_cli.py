"""What the commands share, and output to streams that may be closed."""

import errno
import io
import json
import os
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TextIO
from unittest.mock import Mock

import pytest
import tomli_w
from runs import TABLE
from torch import nn

from distill_tune import train as train_module
from distill_tune.cli import BAD_INPUT, complain, guarded, local_folder
from distill_tune.config import Config
from distill_tune.distillation.preparation.prepare import Preparation
from distill_tune.errors import ConfigError
from distill_tune.streams import tell
from distill_tune.train import main as train_main

PROJECT = Path(__file__).parents[1]
FAR = {"learning_rate": 1e12}
"""A learning rate at which every training diverges."""


def test_a_line_is_there_at_once() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written)
    tell("val/accuracy 0.9", stream)
    assert written.getvalue() == b"val/accuracy 0.9\n"


@pytest.fixture
def unread() -> TextIO:
    """A pipe that nobody reads."""
    theirs, ours = os.pipe()
    os.close(theirs)
    return os.fdopen(ours, "w")


def test_what_nobody_reads_is_no_error_now_or_when_it_is_closed(
    unread: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", unread)
    with unread:
        for _ in range(3):
            complain("interrupted.")


def test_a_name_that_no_file_can_have_is_a_mistake_of_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(partial(os.listdir, "long" * 90)) == BAD_INPUT  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert said == f"error: {'long' * 20}...: File name too long, no file can have this name; give a shorter one.\n"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "a/b.toml: cannot be written (No space left on device); make room, or choose another place."),
        (errno.EFBIG, "a/b.toml: cannot be read or written (File too large); look at its permissions and its disk"),
        (errno.EACCES, "a/b.toml: cannot be read or written (Permission denied); look at its permissions"),
        (errno.EIO, "a/b.toml: cannot be read or written (Input/output error); look at its permissions and its disk"),
    ],
)
def test_a_fault_of_the_disk_says_no_more_than_is_known(
    number: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = OSError(number, os.strerror(number), "a/b.toml")
    assert guarded(Mock(side_effect=failing)) == 1  # a function of this file would be blamed instead
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_a_gpu_that_is_short_of_memory_outside_of_trials_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    for said in ("CUDA out of memory. Tried to allocate 2.00 GiB", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED"):
        assert guarded(Mock(side_effect=RuntimeError(said))) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"error: the GPU has too little free memory (RuntimeError: {said}); lower ")
        assert told.count("\n") == 1
        assert all(each in told for each in ("batch_size", "resources.gpus_per_worker", "other programs"))


@pytest.mark.parametrize("arguments", ["search --dry-run", "train run.toml", "predict best rows.csv", "report one two"])
def test_a_current_folder_that_is_gone_is_said_in_one_line(arguments: str, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    command = f"rmdir {here}; exec {sys.executable} -m distill_tune.{arguments}"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    ran = subprocess.run(
        ["sh", "-c", command], cwd=here, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    said = "error: the current folder: must be there, but has been deleted; change to another.\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (BAD_INPUT, "", said)


def test_a_storage_whose_path_is_no_utf_8_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latin = tmp_path / os.fsdecode(b"b\xf6se")
    latin.mkdir()
    monkeypatch.chdir(latin)
    for storage in (str(latin), "results"):
        with pytest.raises(ConfigError, match=r"must be UTF-8, but .* is not; choose another place"):
            local_folder(storage)


def test_a_letter_that_standard_output_has_not_is_escaped(tmp_path: Path) -> None:
    rows = "".join(f"{number},{'größe' if number % 2 else 'no'}\n" for number in range(60))
    (tmp_path / "rows.csv").write_text(f"width,kind\n{rows}", encoding="utf-8")
    settings = ["data.source=csv", "data.path=rows.csv", "student.family=mlp", "data.test=0.2"]
    (tmp_path / "space.toml").write_text("[data]\nsource = 'digits'\n[student]\nfamily = 'mlp'\n")
    command = [sys.executable, "-m", "distill_tune.search", "space.toml", "--dry-run"]
    command += [word for setting in settings for word in ("--set", setting)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert r"classes, in order: gr\xf6\xdfe, no" in ran.stdout


def test_a_training_goes_on_when_nobody_reads_how_it_is_getting_on(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(tomli_w.dumps(TABLE))
    command = [sys.executable, "-m", "distill_tune.train", "run.toml", "--name", "unread"]
    named = os.environ | {"PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=named) as training:
        assert training.stdout is not None
        assert training.stdout.readline()
        training.stdout.close()
        _, errors = training.communicate(timeout=100)
    assert (training.returncode, errors) == (0, b"")
    assert (tmp_path / "results" / "unread" / "train.json").exists()


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", ["gone.toml", "run.toml --nonsense"])
def test_bad_input_has_its_exit_status_whatever_stream_is_closed(closed: str, arguments: str, tmp_path: Path) -> None:
    command = f"exec {shlex.quote(sys.executable)} -m distill_tune.train {arguments} {closed}"
    named = os.environ | {"PYTHONPATH": str(PROJECT)}
    refused = subprocess.run(command, shell=True, cwd=tmp_path, env=named, capture_output=True, text=True, check=False)
    assert refused.returncode == BAD_INPUT
    assert refused.stderr.startswith("error: ") is ("2>&-" not in closed)


def test_a_command_with_all_streams_closed_does_its_work_and_writes_into_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(tomli_w.dumps(TABLE))
    command = f"exec {shlex.quote(sys.executable)} -m distill_tune.train run.toml --name closed <&- >&- 2>&-"
    named = os.environ | {"PYTHONPATH": str(PROJECT)}
    trained = subprocess.run(command, shell=True, cwd=tmp_path, env=named, check=False)
    assert trained.returncode == 0
    assert json.loads((tmp_path / "results" / "closed" / "train.json").read_text())["name"] == "closed"


def test_a_training_leaves_a_folder_alone_that_another_has_made_in_the_same_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("distill_tune.export.result_folder.default_name", lambda path: f"{path.stem}-20261124-131500")
    (tmp_path / "run.toml").write_text(tomli_w.dumps(TABLE))
    others, ours = (tmp_path / "results" / f"run-20261124-131500{mark}" for mark in ("", "-2"))
    others.mkdir(parents=True)
    assert train_main(["run.toml", "--set", "search.max_epochs=1"]) == 0
    assert not list(others.iterdir())
    assert sorted(path.name for path in ours.iterdir()) == ["seed-0", "train.json"]
    assert json.loads((ours / "train.json").read_text())["name"] == ours.name


def test_an_option_that_is_cut_short_is_not_taken_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    """`--seed 7`, taken for `--seeds 7`, would train seven seeds."""
    with pytest.raises(SystemExit, match="2"):
        train_main(["run.toml", "--seed", "7"])
    assert capsys.readouterr().err.startswith("error: --seed: unknown argument. Did you mean '--seeds'?")


@pytest.mark.parametrize("limit", ["max_parameters", "max_multiply_adds"])
def test_a_training_of_a_student_over_a_limit_is_refused_before_its_teacher_is_trained(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(tomli_w.dumps({**TABLE, "limits": {limit: 20, "max_latency_ms": 1e-9}}))
    assert train_main(["run.toml"]) == 2
    said = capsys.readouterr()
    assert f"error: limits: the student is over {limit} 20 (" in said.err
    assert "teacher" not in said.out
    assert not list(tmp_path.glob("results/[!.]*"))


def test_no_training_is_refused_for_a_latency_that_another_machine_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(tomli_w.dumps({**TABLE, "limits": {"max_latency_ms": 1e-9}}))
    assert train_main(["run.toml", "--set", "search.max_epochs=1"]) == 0


WRONG = """
from torch import nn
from distill_tune.students import Student

class TooMany(Student):
    def build(self, input_shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0], classes + 1))
"""


def test_a_training_of_a_network_with_too_many_logits_is_refused_without_any_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "wrong_logits.py").write_text(WRONG)
    tables = {**TABLE, "student": {"family": "wrong_logits:TooMany"}, "loss": {"kind": "labels"}}
    (tmp_path / "run.toml").write_text(tomli_w.dumps(tables))
    assert train_main(["run.toml"]) == 2
    said = "error: student.family: the network must give logits of shape (1, 4), but gave (1, 5)"
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("results/[!.]*"))


def test_each_seeds_folder_has_the_run_that_makes_its_student_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(tomli_w.dumps(TABLE))
    short = ["--set", "search.max_epochs=1", "--set", "optim.precision='float32'"]
    assert train_main(["run.toml", "--seeds", "2", "--name", "two", *short]) == 0
    assert train_main(["results/two/seed-1/run.toml", "--name", "again"]) == 0
    first, again = (Path("results", name, "student.safetensors") for name in ("two/seed-1", "again/seed-1"))
    assert first.read_bytes() == again.read_bytes()


def test_a_training_says_that_it_has_one_worker_where_a_trial_has_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(tomli_w.dumps({**TABLE, "loss": {"kind": "labels"}}))
    said = (
        "a training is one process: without the 2 workers of resources.workers_per_trial its weights are not those of"
    )
    for workers, times in ((2, 1), (1, 0)):
        given = [f"resources.workers_per_trial={workers}", "search.max_epochs=1", "teacher.train.epochs=1"]
        assert train_main(["run.toml", *(word for each in given for word in ("--set", each))]) == 0
        assert capsys.readouterr().out.count(said) == times


def test_a_seed_that_diverges_is_named_and_what_came_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(tomli_w.dumps(TABLE))
    real = train_module._trained

    def diverging(config: Config, preparation: Preparation, seed: int) -> tuple[nn.Module, dict[str, float]]:
        given = config if seed == 0 else config.model_copy(update={"optim": config.optim.model_copy(update=FAR)})
        return real(given, preparation, seed)

    monkeypatch.setattr(train_module, "_trained", diverging)
    assert train_main(["run.toml", "--seeds", "3", "--name", "far", "--set", "optim.kind='sgd'"]) == 1
    assert "error: seed 1: the training loss is " in capsys.readouterr().err
    assert list(json.loads(Path("results/far/train.json").read_text())["seeds"]) == ["0"]


def test_seeds_beyond_the_last_one_are_refused_before_any_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(tomli_w.dumps(TABLE))
    assert train_main(["run.toml", "--seeds", "2", "--set", f"search.seed={2**32 - 1}"]) == 2
    said = capsys.readouterr()
    assert "search.seed: must be" in said.err
    assert "epoch" not in said.out


LEAVING = "import atexit, threading\nfrom distill_tune.cli import leave\n"


def left(*arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    nothing = subprocess.DEVNULL
    return subprocess.run(
        [sys.executable, *arguments], stdin=nothing, capture_output=True, text=True, check=False, cwd=cwd
    )


def test_a_command_that_leaves_has_its_status_and_what_it_printed_and_does_what_is_to_be_done_at_its_end() -> None:
    ended = left("-c", f"{LEAVING}atexit.register(print, 'at its end')\nprint('before', end=', ')\nleave(3)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "before, at its end\n", "")


def test_a_command_that_leaves_waits_for_a_thread_that_python_would_wait_for() -> None:
    work = "lambda: (threading.main_thread().join(), print('done'))"
    ended = left("-c", f"{LEAVING}threading.Thread(target={work}).start()\nleave(0)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
    ("watched", "seen"),
    [("-m cProfile", "function calls"), ("-m trace --count --summary --coverdir=.", "lines   cov%"), ("-i", ">>>")],
)
def test_who_watches_a_command_that_leaves_tells_what_was_seen(watched: str, seen: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(f"{LEAVING}leave(0)")
    ended = left(*watched.split(), "program.py", cwd=tmp_path)
    assert seen in ended.stdout + ended.stderr
