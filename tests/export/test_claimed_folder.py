"""A training's claim to a result folder: one at a time, and none that outlives its process."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from distill_tune.errors import ConfigError
from distill_tune.export.claimed_folder import own_folder
from distill_tune.export.result_folder import free_folder, is_default_name, new_result


@pytest.fixture
def in_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda form: "20261124-131500")


@pytest.mark.usefixtures("in_one_second")
def test_trainings_that_begin_in_one_second_have_a_folder_each(tmp_path: Path) -> None:
    run = Path("run.toml")
    with ExitStack() as stack:
        own = [stack.enter_context(own_folder(tmp_path / "results", None, run)) for _ in range(3)]
        for folder in own:
            (folder / "train.json").touch()
    names = ["run-20261124-131500", "run-20261124-131500-2", "run-20261124-131500-3"]
    assert [folder.name for folder in own] == names
    assert all(is_default_name(name, run) for name in names)
    assert all([path.name for path in folder.iterdir()] == ["train.json"] for folder in own)


AT_WORK = """
import sys
from pathlib import Path
from distill_tune.export import claimed_folder, result_folder

result_folder.default_name = lambda path: "run-20261124-131500"
name = sys.argv[2] if len(sys.argv) > 2 else None
with claimed_folder.own_folder(Path(sys.argv[1]), name, Path("run.toml")) as folder:
    print(folder.name, flush=True)
    sys.stdin.read()
"""


def test_so_have_programs_that_begin_at_the_same_time(tmp_path: Path) -> None:
    pipe, begin = subprocess.PIPE, [sys.executable, "-c", AT_WORK, str(tmp_path / "results")]
    with ExitStack() as stack:
        programs = [stack.enter_context(subprocess.Popen(begin, stdin=pipe, stdout=pipe, text=True)) for _ in range(3)]
        names = {program.stdout.readline().strip() for program in programs if program.stdout}
    assert names == {"run-20261124-131500", "run-20261124-131500-2", "run-20261124-131500-3"}
    assert not list(tmp_path.glob("results/*")), "none of them has put anything there"


@pytest.mark.usefixtures("in_one_second")
def test_a_default_name_that_was_free_when_it_was_looked_up_and_is_taken_now_is_left_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:

        def free_but_not_for_long(folder: Path) -> Path:
            monkeypatch.undo()
            monkeypatch.setattr("time.strftime", lambda form: "20261124-131500")
            return stack.enter_context(own_folder(tmp_path, None, Path("run.toml")))

        monkeypatch.setattr("distill_tune.export.result_folder.free_after", free_but_not_for_long)
        folder = stack.enter_context(own_folder(tmp_path, None, Path("run.toml")))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["run-20261124-131500", "run-20261124-131500-2"]
        assert folder.name == "run-20261124-131500-2"


def test_a_name_that_another_training_has_just_taken_is_refused_though_its_folder_is_empty(tmp_path: Path) -> None:
    refused = pytest.raises(ConfigError, match=r"--name a: .* exists and holds another result")
    with own_folder(tmp_path, "a", Path("run.toml")), refused, own_folder(tmp_path, "a", Path("run.toml")):
        pass


def test_a_folder_is_held_by_a_training_that_is_alive_and_by_none_that_was_killed(tmp_path: Path) -> None:
    begin = [sys.executable, "-c", AT_WORK, str(tmp_path), "a"]
    with subprocess.Popen(begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        assert training.stdout.readline().strip() == "a"
        with pytest.raises(ConfigError, match=r"--name a: .* exists and holds another result"):
            free_folder(tmp_path, "a")
        training.kill()
    assert free_folder(tmp_path, "a") == tmp_path / "a", "for a search too"
    with own_folder(tmp_path, "a", Path("run.toml")) as folder:
        (folder / "train.json").touch()
    assert [path.name for path in folder.iterdir()] == ["train.json"]


def test_what_a_killed_training_has_written_is_another_result(tmp_path: Path) -> None:
    begin = [sys.executable, "-c", AT_WORK, str(tmp_path), "a"]
    with subprocess.Popen(begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        training.stdout.readline()
        (tmp_path / "a" / "train.json").touch()
        training.kill()
    with pytest.raises(ConfigError, match="holds another result"), own_folder(tmp_path, "a", Path("run.toml")):
        pass


def test_a_folder_that_was_free_when_it_was_looked_up_and_has_a_result_now_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free_but_not_for_long(storage: Path, name: str | None, space_path: Path) -> Path:
        folder = new_result(storage, name, space_path)
        folder.mkdir()
        (folder / "train.json").touch()
        return folder

    monkeypatch.setattr("distill_tune.export.claimed_folder.new_result", free_but_not_for_long)
    with pytest.raises(ConfigError, match="holds another result"), own_folder(tmp_path, "a", Path("run.toml")):
        pass
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["train.json"]
