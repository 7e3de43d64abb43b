"""The command line: exit status 2, one line on stderr, nothing started or written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from good import PROJECT, Refuse


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
        (["--resume", "--name", "long" * 90], "longlong...: must have at most 200 bytes, but has 360; shorten it."),
        (["--resume", "--name", "../up"], "--name '../up': must be letters, digits, '.', '_' and '-'"),
        (["--extend", "3", "--name", "/tmp"], "--name '/tmp': must be letters, digits, '.', '_' and '-'"),
        (["--extend", ""], "--extend '': must be an integer from 1 on, of at most 15 digits."),
        (["--extend", "0.5"], "--extend '0.5': must be an integer from 1 on, of at most 15 digits."),
        (["--extend", "9" * 5000], "999: must be an integer from 1 on, of at most 15 digits."),
        (["long" * 90], "long: no such file; shipped in search_spaces/: "),
        (["space.toml", "--storage", "~nobody_of_this_name/x"], "--storage ~nobody_of_this_name/x: there is no such"),
        (["space.toml", "--storage", ""], "--storage '': must be a folder; . is the one that you are in."),
        (["space.toml", "--storage", "long" * 90], "cannot be written to (File name too long); choose another place."),
        (["space.toml", "--storage", "hdfs://h/x"], "--storage hdfs://h/x: must be a folder, or s3://bucket/folder or"),
        (["space.toml", "--storage", "s3:///x"], "--storage s3:///x: must name a bucket, as s3://bucket/folder does."),
        (["space.toml", "--storage", "s3://key:secret@b/x"], "--storage: keys must not be in the URI; set AWS_ACCESS_"),
        (["space.toml", "--storage", "data.csv"], "is a file; choose another place."),
        (["space.toml", "--storage", "data.csv/below"], "data.csv is a file; choose another place."),
        (["space.toml", "--set", "loss"], "--set loss: must be KEY=VALUE, such as loss.temperature=4."),
        (["space.toml", "--set"], "--set: expected one argument; --help shows what can be given."),
        (["space.toml", "--trails", "3"], "--trails: unknown argument. Did you mean '--trials'?"),
        (["space.toml", "other.toml"], "other.toml: unknown argument."),
        (["gr\udcf6sse.toml"], r"'gr\udcf6sse.toml': is no UTF-8, as Ray wants each word of a command; rename it."),
        (["space.toml", "--storage", "r\udcf6sults"], r"'r\udcf6sults': is no UTF-8, as Ray wants each word of a"),
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_be(refuse: Refuse, arguments: list[str], said: str) -> None:
    assert said in refuse(arguments=tuple(arguments))


def test_a_space_may_stand_below_the_home_folder(refuse: Refuse, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert refuse("loss.temperature=-3", arguments=("~/space.toml",)).startswith("error: loss.temperature: ")


def test_a_result_folder_in_the_place_of_a_space_or_of_the_storage(refuse: Refuse, folder: Path) -> None:
    for name in ("a result", "a result/baseline"):
        (folder / name).mkdir()
        (folder / name / "search.toml").write_text((folder / "space.toml").read_text())
        (folder / name / "ledger.jsonl").touch()
    assert "a result: no such file, but a result folder; name its search.toml, or" in refuse(arguments=("a result",))
    for more in (("space.toml",), ("--resume",), ("--extend", "3", "--name", "baseline")):
        said = refuse(arguments=(*more, "--storage", "a result"))
        assert "--storage a result: must be a folder of result folders, but is one itself; give --storage" in said
        assert f"--storage {folder} --name 'a result'." in said


def test_a_result_folder_that_holds_another_search(refuse: Refuse, folder: Path) -> None:
    (folder / "results" / "mine").mkdir(parents=True)
    (folder / "results" / "mine" / "summary.json").write_text("{}")
    said = refuse(arguments=("space.toml", "--name", "mine"))
    assert f"--name mine: {folder / 'results' / 'mine'} exists and holds another result; choose another name" in said


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
    done = searched(folder, RAY_TMPDIR="/dev/null")
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: Ray cannot be started on this machine \(NotADirectoryError: .+\); [^\n]+\n", done.stderr
    )
    assert [path.name for path in (folder / "results").iterdir()] == [".cache"]


def searched(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a search of `space.toml` in a process of its own."""
    command = [sys.executable, "-m", "distill_tune.search", "space.toml", *arguments]
    named = os.environ | {"PYTHONPATH": str(PROJECT)} | environment
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=named)
