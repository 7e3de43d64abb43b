"""What a refusal leaves of what was put into the shared cache, and what it leaves to others."""

import errno
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from distill_tune.atomic import new_file, new_folder, outlives_a_refusal
from distill_tune.errors import DataError
from distill_tune.export.cache_use import nothing_left_on_refusal
from distill_tune.export.claimed_folder import own_folder
from distill_tune.export.result_folder import SHARED_CACHE


def refused_after_making(storage: Path, name: str) -> None:
    with nothing_left_on_refusal(storage):
        with new_folder(storage / SHARED_CACHE / name) as folder:
            (folder / "train.arrow").touch()
        with new_file(storage / SHARED_CACHE / "teacher-1" / "teacher.safetensors") as file:
            file.touch()
        raise DataError("one class only")


def test_a_training_that_is_refused_leaves_no_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for storage in (tmp_path / "new" / "results", tmp_path / "there"):
        with pytest.raises(DataError), own_folder(storage, None, Path("run.toml")):
            refused_after_making(storage, "data-1")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not list((tmp_path / "there").iterdir())


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
