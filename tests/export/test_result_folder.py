import errno
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from distill_tune.atomic import new_file, new_folder, outlives_a_refusal
from distill_tune.errors import CacheError, ConfigError, DataError
from distill_tune.export.result_folder import (
    SHARED_CACHE,
    free_folder,
    is_default_name,
    link_tree,
    new_result,
    nothing_left_on_refusal,
    own_folder,
    write_json,
)


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "with space", "-dash"])
def test_a_name_that_is_no_plain_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--name"):
        free_folder(tmp_path, name)


def test_an_empty_folder_can_be_used_and_a_used_one_cannot(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert free_folder(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a" / "search.toml").touch()
    with pytest.raises(ConfigError, match="holds another search"):
        free_folder(tmp_path, "a")


@pytest.fixture
def in_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda form: "20261124-131500")


def test_of_a_long_name_a_default_one_takes_what_a_folder_can_have(tmp_path: Path) -> None:
    space = Path(f"{'имя' * 60}.toml")
    folder = new_result(tmp_path, None, space)
    assert len(folder.name.encode()) <= 120
    assert is_default_name(folder.name, space)


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
from distill_tune.export import result_folder

result_folder.default_name = lambda path: "run-20261124-131500"
with result_folder.own_folder(Path(sys.argv[1]), None, Path("run.toml")) as folder:
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
    refused = pytest.raises(ConfigError, match=r"--name a: .* exists and holds another search")
    with own_folder(tmp_path, "a", Path("run.toml")), refused, own_folder(tmp_path, "a", Path("run.toml")):
        pass


def test_a_training_that_is_refused_leaves_no_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for storage in (tmp_path / "new" / "results", tmp_path / "there"):
        with pytest.raises(DataError), own_folder(storage, None, Path("run.toml")):
            refused_after_making(storage, "data-1")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not list((tmp_path / "there").iterdir())


def refused_after_making(storage: Path, name: str) -> None:
    with nothing_left_on_refusal(storage):
        with new_folder(storage / SHARED_CACHE / name) as folder:
            (folder / "train.arrow").touch()
        with new_file(storage / SHARED_CACHE / "teacher-1" / "teacher.safetensors") as file:
            file.touch()
        raise DataError("one class only")


def test_a_refusal_leaves_no_storage_that_was_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        refused_after_making(tmp_path / "new" / "results", "data-1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("new", [new_file, new_folder])
def test_what_was_refused_while_it_was_made_leaves_no_folder_that_was_to_hold_it(tmp_path: Path, new: Any) -> None:
    with pytest.raises(DataError), new(tmp_path / "teacher-1" / "views" / "first"):
        raise DataError("a logit that is not finite")
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_leaves_what_was_in_the_cache_before(tmp_path: Path) -> None:
    (tmp_path / SHARED_CACHE / "data-old").mkdir(parents=True)
    with pytest.raises(DataError):
        refused_after_making(tmp_path, "data-new")
    assert [path.name for path in (tmp_path / SHARED_CACHE).iterdir()] == ["data-old"]


def test_a_refusal_leaves_what_others_have_put_there_meanwhile(tmp_path: Path) -> None:
    storage = tmp_path / "results"

    def refused_beside_others() -> None:
        with nothing_left_on_refusal(storage):
            with new_folder(storage / SHARED_CACHE / "data-ours"):
                pass
            (storage / SHARED_CACHE / "data-theirs").mkdir()
            (storage / "thesis.txt").write_text("precious")
            raise DataError("one class only")

    with pytest.raises(DataError):
        refused_beside_others()
    assert (storage / "thesis.txt").read_text() == "precious"
    assert [path.name for path in (storage / SHARED_CACHE).iterdir()] == ["data-theirs"]


def test_a_refusal_leaves_what_another_program_at_work_may_have_found(tmp_path: Path) -> None:
    ours, cache = "data-1", tmp_path / SHARED_CACHE
    with nothing_left_on_refusal(tmp_path):  # another program's
        with pytest.raises(DataError):
            refused_after_making(tmp_path, ours)
        assert (cache / ours / "train.arrow").exists()
    (cache / ours / "train.arrow").unlink()
    with pytest.raises(DataError):
        refused_after_making(tmp_path, "data-2")
    assert [path.name for path in cache.iterdir()] == [ours]


def test_what_a_program_uses_longer_than_it_prepares_is_not_deleted_under_it(tmp_path: Path) -> None:
    with ExitStack() as until:
        with nothing_left_on_refusal(tmp_path, until):
            pass
        with pytest.raises(DataError):
            refused_after_making(tmp_path, "data-1")
        assert (tmp_path / SHARED_CACHE / "data-1").exists()


def test_programs_that_come_and_go_never_lose_what_they_have_found(tmp_path: Path) -> None:
    """Each makes what is missing, and is refused while others may have begun to use it."""
    storage, lost = tmp_path / "results", list[int]()

    def come_and_go(number: int) -> None:
        for _ in range(50):
            with suppress(DataError), nothing_left_on_refusal(storage):
                with new_folder(storage / SHARED_CACHE / "data-1", is_whole=Path.exists) as folder:
                    (folder / "train.arrow").touch()
                if not (storage / SHARED_CACHE / "data-1" / "train.arrow").exists():
                    lost.append(number)
                raise DataError("one class only")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert not lost


def test_what_took_long_outlives_a_refusal_alone(tmp_path: Path) -> None:
    teacher = tmp_path / SHARED_CACHE / "teacher-1" / "teacher.safetensors"

    def refused_after_training() -> None:
        with nothing_left_on_refusal(tmp_path):
            for path in (teacher, teacher.with_name("anatomy.json")):
                with new_file(path) as file:
                    file.touch()
            outlives_a_refusal(teacher)
            raise DataError("one class only")

    with pytest.raises(DataError):
        refused_after_training()
    found = [path for path in (tmp_path / SHARED_CACHE).rglob("*") if path.is_file()]
    assert found == [teacher]


def test_a_disk_that_is_full_takes_nothing_that_is_whole(tmp_path: Path) -> None:
    """Its owner makes room, and starts again with the teacher that took hours."""
    teacher = tmp_path / SHARED_CACHE / "teacher-1" / "teacher.safetensors"

    def run_full() -> None:
        with nothing_left_on_refusal(tmp_path):
            with new_file(teacher) as file:
                file.touch()
            with new_file(teacher.with_name("views.arrow")):
                raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run_full()
    assert [path.name for path in teacher.parent.iterdir()] == [teacher.name]


def test_what_is_not_refused_stays(tmp_path: Path) -> None:
    with nothing_left_on_refusal(tmp_path):
        (tmp_path / SHARED_CACHE / "data-new").mkdir(parents=True)
    assert (tmp_path / SHARED_CACHE / "data-new").exists()


def test_linked_files_are_the_same_files_and_outlive_the_cache(tmp_path: Path) -> None:
    source, target = tmp_path / "cache", tmp_path / "own"
    (source / "views").mkdir(parents=True)
    (source / "views" / "train.arrow").write_bytes(b"logits")
    link_tree(source, target)
    linked = target / "views" / "train.arrow"
    assert linked.stat().st_ino == (source / "views" / "train.arrow").stat().st_ino
    (source / "views" / "train.arrow").unlink()
    assert linked.read_bytes() == b"logits"


def test_a_folder_that_is_gone_is_not_linked_as_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"data-1: was prepared for this search, but is not there any more; start"):
        link_tree(tmp_path / "data-1", tmp_path / "own")


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_json(path, {"status": "complete"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"accuracy": float("nan")})
    assert json.loads(path.read_text()) == {"status": "complete"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


def test_what_another_program_is_at_work_on_may_go_while_a_folder_is_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, views of another augmentation, which have just been moved into place."""
    source, link = tmp_path / "teacher-1", Path.hardlink_to
    hidden = [source / f".new-{number}" for number in range(20)]
    for folder in (*hidden[:10], source / "views-1", *hidden[10:]):  # file systems list them in no set order
        folder.mkdir(parents=True)
        (folder / "train.arrow").write_text("logits")

    def link_as_the_other_ends(place: Path, path: Path) -> None:
        for folder in hidden:
            shutil.rmtree(folder, ignore_errors=True)
        link(place, path)

    monkeypatch.setattr(Path, "hardlink_to", link_as_the_other_ends)
    link_tree(source, tmp_path / "own")
    found = [path.relative_to(tmp_path / "own") for path in (tmp_path / "own").rglob("*") if path.is_file()]
    assert found == [Path("views-1/train.arrow")]
