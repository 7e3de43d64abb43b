"""Names and folders of results: which are free, and what is written there."""

import json
from pathlib import Path

import pytest

from distill_tune.errors import ConfigError
from distill_tune.export.result_folder import free_folder, is_default_name, new_result, write_json


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "with space", "-dash"])
def test_a_name_that_is_no_plain_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="--name"):
        free_folder(tmp_path, name)


def test_an_empty_folder_can_be_used_and_a_used_one_cannot(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert free_folder(tmp_path, "a") == tmp_path / "a"
    (tmp_path / "a" / "search.toml").touch()
    with pytest.raises(ConfigError, match="holds another result"):
        free_folder(tmp_path, "a")


def test_of_a_long_name_a_default_one_takes_what_a_folder_can_have(tmp_path: Path) -> None:
    space = Path(f"{'имя' * 60}.toml")
    folder = new_result(tmp_path, None, space)
    assert len(folder.name.encode()) <= 120
    assert is_default_name(folder.name, space)


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_json(path, {"status": "complete"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"accuracy": float("nan")})
    assert json.loads(path.read_text()) == {"status": "complete"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]
