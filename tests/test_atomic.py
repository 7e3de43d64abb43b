"""Files that appear whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from distill_tune.atomic import alone_in, new_file, new_folder


def test_two_writers_of_one_file_have_places_of_their_own_even_in_one_process_of_two_machines(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with new_file(path) as one:
        one.write_text("one begins")
        with new_file(path) as other:
            other.write_text("other")
        assert path.read_text() == "other"
        one.write_text("one ends")
    assert path.read_text() == "one ends"
    assert [each.name for each in tmp_path.iterdir()] == ["weights"]


WAITING = """
import sys
from pathlib import Path
from distill_tune.atomic import alone_in

with alone_in(Path(sys.argv[1]), lambda: print("waits", flush=True)):
    print("is there", flush=True)
"""


def test_one_program_at_a_time_is_in_a_folder_and_another_is_told_that_it_waits(tmp_path: Path) -> None:
    folder, waited = tmp_path / "teacher-1", list[str]()
    with alone_in(folder, lambda: waited.append("we")):
        begin = [sys.executable, "-c", WAITING, str(folder)]
        other = subprocess.Popen(begin, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "waits\n"
        assert other.poll() is None
    said, _ = other.communicate()
    assert (said, other.returncode, waited) == ("is there\n", 0, [])


def test_a_folder_in_which_nothing_came_about_goes_with_the_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no data"), alone_in(tmp_path / "new" / "teacher-1", lambda: None):
        raise ValueError("no data")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_folder_that_another_program_moves_away_in_the_same_instant_is_replaced_all_the_same(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "damaged").touch()

    def is_whole(folder: Path) -> bool:
        if (folder / "damaged").exists():
            folder.rename(tmp_path / "old")
        return False

    with new_folder(folder, is_whole) as new:
        (new / "mended").touch()
    assert [path.name for path in folder.iterdir()] == ["mended"]
