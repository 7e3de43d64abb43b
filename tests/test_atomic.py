"""Files that appear whole or not at all."""

from pathlib import Path

from distill_tune.atomic import new_file


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
