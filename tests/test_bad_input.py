"""What the command line is given and cannot use: exit status 2, one line on stderr, nothing started or written."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from distill_tune.search import main

PROJECT = Path(__file__).parents[1]
Refuse = Callable[..., str]
SPACE = """
[data]
source = "csv"
path = "data.csv"
[teacher]
source = "logits"
path = "teacher.npy"
[student]
family = "mlp"
[student.mlp]
width = { log_int = [8, 16] }
"""
"""On good files; each test spoils one thing."""


def rows(count: int = 60, classes: int = 3) -> pd.DataFrame:
    inputs = np.random.default_rng(0).normal(size=(count, 3)).round(4)
    return pd.DataFrame(inputs, columns=["height", "width", "weight"]).assign(kind=np.arange(count) % classes)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a search space, data and a teacher's logits that can be used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "space.toml").write_text(SPACE)
    rows().to_csv("data.csv", index=False)
    np.save("teacher.npy", np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32))
    return tmp_path


def contents(folder: Path) -> dict[str, bytes | None]:
    found = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}


@pytest.fixture
def refuse(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Refuse]:
    """`refuse("loss.temperature=-3")` gives what is said about `space.toml` with that setting."""

    def started(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("ray.init", started)

    def refused(*settings: str, arguments: tuple[str, ...] = ("space.toml",)) -> str:
        before = contents(folder)
        given = [word for setting in settings for word in ("--set", setting)]
        try:
            status = main([*arguments, *given])
        except SystemExit as error:  # argparse's way to end
            status = int(str(error.code))
        said = capsys.readouterr()
        assert status == 2, said.err
        assert re.fullmatch(r"error: .+[.?]\n", said.err), said.err
        assert "training the teacher" not in said.out
        assert contents(folder) == before
        return said.err

    return refused


# The command line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.toml"], "gone.toml: no such file; shipped in search_spaces/: digits.toml, "),
        (["data.csv"], "data.csv: is no valid TOML: "),
        (["teacher.npy"], "teacher.npy: is no text file"),
        (["."], ".: no such file"),
        (["space.toml", "--trials", "0"], "search.trials: must be at least 1, but got 0."),
        (["space.toml", "--trials", "many"], "search.trials: must be an integer, but got 'many'."),
        (["space.toml", "--time", "10"], "search.time: must be a positive number and a unit, such as '90s', '10m'"),
        (["space.toml", "--time", "1'0m"], "search.time: must be a positive number and a unit"),
        (["space.toml", "--name", "../up"], "--name '../up': must be letters, digits, '.', '_' and '-'"),
        (["space.toml", "--name", "a b"], "--name 'a b': must be letters"),
        (["space.toml", "--name", ""], "--name '': must be letters"),
        (["space.toml", "--name", "é" * 101], "é...: must have at most 200 bytes, but has 202; shorten it."),
        (["space.toml", "--name", "", "--resume"], "--name '': must be the name of a result folder; leave it out to"),
        (["long" * 90], "long: no such file; shipped in search_spaces/: "),
        (["space.toml", "--storage", "~nobody_of_this_name/x"], "--storage ~nobody_of_this_name/x: there is no such"),
        (["space.toml", "--storage", ""], "--storage '': must be a folder; . is the one that you are in."),
        (["space.toml", "--storage", "long" * 90], "cannot be written to (File name too long); choose another place."),
        (["space.toml", "--storage", "s3://bucket/x"], "--storage s3://bucket/x: must be a folder, local or mounted"),
        (["space.toml", "--storage", "data.csv"], "is a file; choose another place."),
        (["space.toml", "--storage", "data.csv/below"], "data.csv is a file; choose another place."),
        (["space.toml", "--set", "loss"], "--set loss: must be KEY=VALUE, such as loss.temperature=4."),
        (["space.toml", "--set"], "--set: expected one argument; --help shows what can be given."),
        (["space.toml", "--trails", "3"], "--trails: unknown argument. Did you mean '--trials'?"),
        (["space.toml", "other.toml"], "other.toml: unknown argument."),
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_be(refuse: Refuse, arguments: list[str], said: str) -> None:
    assert said in refuse(arguments=tuple(arguments))


def test_a_result_folder_that_holds_another_search(refuse: Refuse, folder: Path) -> None:
    (folder / "results" / "mine").mkdir(parents=True)
    (folder / "results" / "mine" / "summary.json").write_text("{}")
    said = refuse(arguments=("space.toml", "--name", "mine"))
    assert f"--name mine: {folder / 'results' / 'mine'} exists and holds another search; choose another name" in said


@pytest.mark.parametrize("name", ["results", "results/mine", "results/.cache"])
@pytest.mark.parametrize("target", [None, "nowhere/at/all", "itself"])
def test_a_place_that_something_else_has(refuse: Refuse, folder: Path, name: str, target: str | None) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if target is None:
        path.write_text("precious")
    else:
        path.symlink_to(path if target == "itself" else target)
    said = refuse(arguments=("space.toml", "--name", "mine"))
    assert str(path) in said
    assert "must be a folder, but " in said
    assert ("is a file; " if target is None else "leads nowhere; ") in said


def test_a_refused_command_says_it_in_one_line_to_whoever_runs_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distill_tune.search", "--storage", str(tmp_path / "results")]
    done = subprocess.run(
        [*command, "--set", "loss.temperature=-3"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "error: loss.temperature: must be greater than 0, but got -3.\n"
    assert not done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "tells"),
    [
        ("nonsense", "error: --address nonsense: Ray cannot be reached there (ValueError: Invalid address format: "),
        ("127.0.0.1:1", "error: --address 127.0.0.1:1: no Ray cluster answers there ("),
    ],
)
def test_a_cluster_that_is_none(folder: Path, address: str, tells: str) -> None:
    done = searched(folder, "--address", address)
    assert done.returncode == 2
    assert done.stderr.startswith(tells)
    assert done.stderr.endswith("; `ray start --head` starts one and says its address.\n")
    assert not (folder / "results").exists()


def test_a_ray_that_does_not_start_says_why_in_one_line(folder: Path) -> None:
    too_long_for_a_socket = folder / ("x" * 100)
    done = searched(folder, RAY_TMPDIR=str(too_long_for_a_socket))
    assert done.returncode == 1
    assert re.fullmatch(r"error: Ray cannot be started on this machine \(OSError: .+\); [^\n]+\n", done.stderr)
    assert [path.name for path in (folder / "results").iterdir()] == [".cache"]


def searched(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What comes of a search of `space.toml`, for whoever runs it."""
    command = [sys.executable, "-m", "distill_tune.search", "space.toml", *arguments]
    named = os.environ | {"PYTHONPATH": str(PROJECT)} | environment
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=named)


# The configuration


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loss.temprature=3", "loss.temprature: unknown key. Did you mean 'temperature'? Known: kind, "),
        ("serach.trials=3", "[serach]: unknown section. Did you mean 'search'?"),
        ("search.trials='3'", "search.trials: must be an integer, but got '3'. Write 3 without quotes."),
        ("student.mlp.width={ choice = [] }", "student.mlp.width: must have at least one value to choose from"),
        ("student.mlp.width={ choice = [4, { int = [8, 9] }] }", "a choice is of values, but { int = [8, 9] } is"),
        ("student.mlp.width={ int = [8, 4] }", "student.mlp.width: low < high must hold, but got { int = [8, 4] }."),
        ("optim.learning_rate={ log = [0, 1] }", "optim.learning_rate: low > 0 must hold for log, but got"),
        ("student.family=mpl", "no student family is named 'mpl'. Did you mean 'mlp'? Known: convnet, mlp, resnet."),
        ("data.source=cvs", "data.source: no data source is named 'cvs'. Did you mean 'csv'? Known: blobs, csv, "),
        ("teacher.source=keras3", "teacher.source: no teacher source is named 'keras3'. Did you mean 'keras'?"),
        ("student.family=absent:net", "student.family: 'absent:net': there is no module 'absent' in "),
        ("search.trials={ int = [1, 9] }", "[search] is the same for every trial; [student], [loss], [optim], ["),
        ("confirm.seeds=1", "confirm.seeds: must be at least 2, but got 1."),
        ("resources.workers_per_trial=3", "optim.batch_size: must be a multiple of resources.workers_per_trial (3)"),
    ],
)  # fmt: skip
def test_a_configuration_that_breaks_a_rule(refuse: Refuse, setting: str, said: str) -> None:
    assert said in refuse(setting)


def test_a_file_that_breaks_a_rule_is_named(refuse: Refuse, folder: Path) -> None:
    (folder / "space.toml").write_text(SPACE.replace("width =", "widht ="))
    assert refuse().startswith("error: space.toml: student.mlp.widht: unknown key. Did you mean 'width'?")


# The data


def test_data_that_are_not_there(refuse: Refuse, folder: Path) -> None:
    assert f"gone.csv: no such file; it must be a CSV (text) file (seen from {folder})." in refuse("data.path=gone.csv")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("npz", "data.csv: must be an .npz (zip) file, but is a CSV (text) file; use data.source = 'csv'."),
        ("parquet", "data.csv: must be a Parquet file, but is a CSV (text) file; use data.source = 'csv'."),
    ],
)
def test_data_of_another_kind(refuse: Refuse, source: str, said: str) -> None:
    assert said in refuse(f"data.source={source}")


@pytest.mark.parametrize(("source", "keep"), [("npz", 0.5), ("parquet", 0.5), ("npz", 0.95), ("parquet", 0.95)])
def test_data_that_were_cut_off(refuse: Refuse, folder: Path, source: str, keep: float) -> None:
    path = folder / f"data.{source}"
    table = rows()
    if source == "npz":
        np.savez(path, inputs=table.to_numpy(np.float32)[:, :3], labels=table["kind"].to_numpy())
    else:
        table.to_parquet(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    assert f"{path.name}: is truncated or damaged" in refuse(f"data.source={source}", f"data.path={path.name}")


@pytest.mark.parametrize("source", ["csv", "npz", "parquet", "fashion_mnist", "letter"])
@pytest.mark.parametrize("path", ["long" * 90, "null\\u0000byte", "~nobody_of_this_name/data", "data.csv/below"])
def test_a_path_that_no_file_can_have(refuse: Refuse, source: str, path: str) -> None:
    said = refuse(f"data.source={source}", f'data.path="{path}"')
    assert path[:4] in said
    assert "no such f" in said or "cannot be read" in said


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers(refuse: Refuse, value: float) -> None:
    inputs = rows().to_numpy(np.float32)[:, :3]
    inputs[7, 1] = value
    np.savez("data.npz", inputs=inputs, labels=np.arange(60) % 3)
    said = refuse("data.source=npz", "data.path=data.npz")
    assert "data.npz: inputs have 1 NaN or infinite values, the first in row 7; fill or remove them" in said


def spoil(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(rows()).to_csv("data.csv", index=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.assign(kind="a"), "data.csv: has one class only ('a'); a classifier needs two."),
        (
            lambda table: table.assign(kind=["rare", "rare", *["often"] * 58]),
            "data.csv: class 'rare' has 2 samples, but 2 distinct ones for training, validation and test, which need 3",
        ),
        (lambda table: table.assign(kind=table["kind"] / 2), "data.csv: labels in 'kind' are numbers with decimals"),
        (lambda table: table.assign(kind=[None, *table["kind"][1:]]), "has no label"),
        (lambda table: table[["kind"]], "data.csv: has one column only ('kind'); set data.csv.separator."),
        (lambda table: table[:0], "data.csv: has a header but no rows; add some."),
        (
            lambda table: table.assign(kind=np.arange(60)),
            "data.csv: labels in 'kind' are all different, such as '0'",
        ),
        (
            lambda table: table.rename(columns={"width": "height"}),
            "has two columns named 'height'; rename one.",
        ),
        (lambda table: table.rename(columns={"width": "kind"}), "has two columns named 'kind'; rename one."),
    ],
)
def test_a_table_that_nothing_can_be_learnt_from(refuse: Refuse, change: Any, said: str) -> None:
    spoil(change)
    assert said in refuse()


def test_a_label_column_that_is_not_there(refuse: Refuse) -> None:
    said = refuse("data.csv.label=knid")
    assert "data.csv.label: data.csv has no such column 'knid'. Did you mean 'kind'? Known: height, width, " in said


def test_labels_outside_of_the_classes(refuse: Refuse) -> None:
    np.savez("data.npz", inputs=rows().to_numpy()[:, :3], labels=np.arange(60) % 4, classes=np.array(["a", "b", "c"]))
    assert "data.npz: row 3 has label 3; there are 3 classes, 0 to 2; mend the labels." in refuse(
        "data.source=npz", "data.path=data.npz"
    )


@pytest.mark.parametrize(
    ("samples", "said"),
    [("1000", "data.student_samples = 1,000, but the training split has "), ("2", "is below one a class; there are 3")],
)
def test_more_or_fewer_samples_for_the_student_than_can_be(refuse: Refuse, samples: str, said: str) -> None:
    assert said in refuse(f"data.student_samples={samples}")


# The teacher


@pytest.mark.parametrize(
    ("logits", "said"),
    [
        (np.zeros((59, 3)), "one row of logits for each row of the data, shape (60, 3), but has shape (59, 3); let"),
        (np.zeros((60, 4)), "one row of logits for each row of the data, shape (60, 3), but has shape (60, 4); let"),
        (np.zeros(60), "one row of logits for each row of the data, shape (60, 3), but has shape (60,); let the"),
        (np.full((60, 3), np.nan), "the logits of 'teacher.npy' must be finite numbers"),
        (np.full((60, 3), "a"), "the logits of 'teacher.npy' must be finite numbers"),
    ],
)  # fmt: skip
def test_logits_that_do_not_fit_the_data(refuse: Refuse, logits: np.ndarray, said: str) -> None:
    np.save("teacher.npy", logits)
    told = refuse()
    assert told.startswith("error: teacher.path: ")
    assert said in told


def test_logits_that_cannot_be_read(refuse: Refuse, folder: Path) -> None:
    assert f"teacher.path: gone.npy: no such file; it must be the teacher's file (seen from {folder})." in refuse(
        "teacher.path=gone.npy"
    )
    (folder / "teacher.txt").write_text("1 2 3")
    said = "teacher.path: logits are read from .npy, .npz and Parquet files, but 'teacher.txt' is a CSV (text) file; "
    assert said in refuse("teacher.path=teacher.txt")
    path = folder / "teacher.npy"
    path.write_bytes(path.read_bytes()[:300])
    assert "teacher.path: teacher.npy: is truncated or damaged; write it again." in refuse()


TEACHERS = """
import torch

def net(width=4):
    return torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.ReLU(), torch.nn.Linear(width, 3))

def wide():
    return torch.nn.Linear(7, 3)

def four_classes():
    return torch.nn.Linear(3, 4)

def number():
    return 3

def fails():
    raise OSError("no licence\\nfound")

def ends():
    raise SystemExit(0)

not_a_function = 3
"""


@pytest.fixture
def refuse_torch(refuse: Refuse, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Likewise, of a PyTorch teacher whose weights are those of `my_teachers:net`."""
    monkeypatch.delitem(sys.modules, "my_teachers", raising=False)
    (folder / "my_teachers.py").write_text(TEACHERS)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    save_file(network.state_dict(), folder / "weights.safetensors")

    def refused(factory: str, *settings: str) -> str:
        return refuse(
            "teacher.source=torch", "teacher.path=weights.safetensors", f"teacher.torch.factory={factory}", *settings
        )

    return refused


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("absent:net", "'absent:net': there is no module 'absent' in "),
        ("my_teachers:nett", "module 'my_teachers' has no 'nett'. Did you mean 'my_teachers:net'?"),
        ("my_teachers", "must be 'package.module:function', but got 'my_teachers'."),
        ("my_teachers:not_a_function", "must be a function, but is int."),
        ("my_teachers:number", "must return a torch.nn.Module, but returned int."),
        ("my_teachers:fails", "no licence found"),
        ("my_teachers:ends", "failed with arguments {} (SystemExit: 0); mend it or teacher.torch.arguments."),
    ],
)
def test_a_factory_that_makes_no_teacher(refuse_torch: Refuse, factory: str, said: str) -> None:
    told = refuse_torch(factory)
    assert told.startswith("error: teacher.torch.factory: ")
    assert said in told


def test_weights_that_do_not_fit(refuse_torch: Refuse) -> None:
    said = "teacher.path: the weights of 'weights.safetensors' do not fit"
    assert said in refuse_torch("my_teachers:net", "teacher.torch.arguments.width=5")
    assert said in refuse_torch("my_teachers:wide")


def test_weights_that_give_no_finite_logits_leave_nothing_behind(refuse_torch: Refuse, folder: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    save_file(
        {name: weight * torch.nan for name, weight in network.state_dict().items()}, folder / "weights.safetensors"
    )
    assert "teacher: one of its logits is not a finite number; check its weights" in refuse_torch("my_teachers:net")


def test_a_dry_run_loads_the_teacher_and_refuses_what_a_search_would(refuse: Refuse, folder: Path) -> None:
    (folder / "my_teachers.py").write_text(TEACHERS)
    (folder / "weights.safetensors").write_bytes(b"no tensors")
    named = ("teacher.source=torch", "teacher.path=weights.safetensors", "teacher.torch.factory=my_teachers:net")
    told = refuse(*named, arguments=("space.toml", "--dry-run"))
    assert "teacher.path: 'weights.safetensors' is no " in told


def test_arguments_that_the_factory_does_not_take(refuse_torch: Refuse) -> None:
    assert "teacher.torch.factory: " in refuse_torch("my_teachers:net", "teacher.torch.arguments.depth=5")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
def test_weights_that_are_damaged(refuse_torch: Refuse, folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00 no weights at all")
    assert f"teacher.path: '{name}' is no " in refuse_torch("my_teachers:net", f"teacher.path={name}")


def test_a_teacher_that_does_not_take_the_data_or_knows_other_classes(refuse_torch: Refuse, folder: Path) -> None:
    save_file(torch.nn.Linear(7, 3).state_dict(), folder / "weights.safetensors")
    assert "inputs of shape (3,)" in refuse_torch("my_teachers:wide")
    save_file(torch.nn.Linear(3, 4).state_dict(), folder / "weights.safetensors")
    assert "for the 3 classes of the data, but returned [2, 4]" in refuse_torch("my_teachers:four_classes")


# What does not go together


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["augmentation.flip=0.5"], "augmentation.flip: cannot be used on tables; for tables there are: mixup, noise"),
        (["student.family=convnet"], "student.family: convnet needs images (channels, height, width), but a sample"),
        (["student.family=['mlp', 'convnet']"], "student.family: convnet needs images (channels, height, width)"),
        (
            ["limits.max_parameters=20"],
            "limits: no student of the space can meet them; the smallest found (mlp) has 131 parameters",
        ),
        (["limits.max_multiply_adds=20"], "limits: no student of the space can meet them; the smallest found (mlp)"),
        (["augmentation.mixup={ uniform = [0.1, 1] }"], "augmentation.mixup: must be a value or { choice = [...] }"),
        (["loss.kind=hint"], "loss: 'hint' compares features, but source = 'logits' has only logits; name"),
        (["loss.also.crd={ log = [0.1, 1.0] }"], "loss: 'crd' compares features, but source = 'logits' has"),
        (["loss.kind=['sp', 'dkd']", "loss.sp.on={ choice = ['logits', 'features'] }"], "loss: 'sp' compares features"),
        (["loss.hint.student_layers=['0', '1']", "loss.hint.teacher_layers=['0']"], "loss.hint.teacher_layers: each"),
        (["loss.dkd.target_weight=0", "loss.dkd.non_target_weight=0"], "loss.dkd.target_weight: must not be 0 where"),
        (["resources.cpus_per_worker=9999"], "resources: a trial needs 9999 CPU, but this machine has "),
        (["teacher.mode=live"], "teacher.mode: 'live' needs a teacher that can run, but source = 'logits' has only"),
    ],
)  # fmt: skip
def test_parts_that_do_not_go_together(refuse: Refuse, settings: list[str], said: str) -> None:
    assert said in refuse(*settings)


TRAINED = ("teacher.source=train", "teacher.family=mlp", "teacher.train.epochs=1")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["loss.kind=hint", "loss.hint.student_layers=['1.linear']"],
            "loss.hint.student_layers: the student 'mlp' has no feature '1.linear'. Known: 1, 2, 3, 4.",
        ),
        (
            ["loss.also.vid=0.1", "loss.vid.teacher_layers={ choice = [['2'], ['layer_2']] }"],
            "loss.vid.teacher_layers: the teacher has no feature 'layer_2'. Known: 1, 2, 3, 4.",
        ),
        (["loss.kind=['dkd', 'attention']"], "loss: 'attention' compares features, but the student 'mlp' has no"),
        (["loss.kind=attention", "loss.attention.student_layers=['2']"], "but the teacher has no feature map; choose"),
        (
            ["loss.also.reviewkd=0.1", "optim.batch_size={ choice = [64, 2] }", "resources.workers_per_trial=2"],
            "optim.batch_size: loss 'reviewkd' needs 2 samples a step for each worker (there are 2), but got 2; write",
        ),
    ],
)  # fmt: skip
def test_features_that_cannot_be_compared_are_found_before_a_teacher_is_trained(
    refuse: Refuse, settings: list[str], said: str
) -> None:
    assert said in refuse(*TRAINED, *settings)
    assert said in refuse(*TRAINED, *settings, arguments=("space.toml", "--dry-run"))


def test_features_that_only_the_loaded_teacher_knows_to_be_missing(refuse_torch: Refuse) -> None:
    told = refuse_torch("my_teachers:net", "loss.kind=hint", "loss.hint.teacher_layers=['3']")
    assert "loss.hint.teacher_layers: the teacher has no feature '3'. Known: 0, 1." in told
    named = ("my_teachers:net", "loss.kind=hint", "loss.hint.student_layers=['9']")
    assert "loss.hint.student_layers: the student 'mlp' has no feature '9'. Known: 1, 2, 3, 4." in refuse_torch(*named)


def test_a_limit_that_no_student_meets_is_found_before_a_teacher_is_trained(refuse: Refuse) -> None:
    assert "limits: no student" in refuse(*TRAINED, "limits.max_parameters=20")
    teacher = ["teacher.source=train", "teacher.family=mlp", "teacher.train.epochs=1"]
    assert "limits: no student" in refuse(*teacher, "limits.max_parameters=20")


def test_more_views_than_the_disk_has_room_for_are_refused_before_a_teacher_is_trained(refuse: Refuse) -> None:
    teacher = ["teacher.source=train", "teacher.family=mlp", "teacher.train.epochs=1", "augmentation.noise=0.1"]
    said = refuse(*teacher, "teacher.views=900000000000")
    assert "error: --storage: " in said
    assert "teacher's cache of 900,000,000,000 views x 38 samples x 3 classes" in said
    assert "free; lower teacher.views, make room, or name another --storage." in said
