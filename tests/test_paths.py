"""Paths as users write them, however odd."""

import json
import sys
import sysconfig
from pathlib import Path

import pytest

from distill_tune.paths import (
    exists,
    expanded,
    folders_of_users_code,
    is_file,
    is_folder,
    is_installed,
    is_users_code,
    real_path,
)

IMPOSSIBLE = ["n" * 5000, "a\0b", "~no_such_user_here/x"]


@pytest.mark.parametrize("text", IMPOSSIBLE, ids=["too long", "null byte", "no such user"])
def test_nothing_is_where_no_file_can_be_and_asking_raises_nothing(text: str) -> None:
    path = expanded(text)
    assert str(path) == text
    assert [exists(path), is_file(path), is_folder(path)] == [False, False, False]
    assert not exists(real_path(path))


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/data.csv") == tmp_path / "data.csv"
    assert expanded(Path("there/~")) == Path("there/~")


def test_files_and_folders_are_told_apart_through_links(tmp_path: Path) -> None:
    file, link, astray = tmp_path / "file", tmp_path / "link", tmp_path / "astray"
    file.touch()
    link.symlink_to(tmp_path)
    astray.symlink_to(tmp_path / "gone")
    assert [(exists(each), is_file(each), is_folder(each)) for each in (file, link, astray)] == [
        (True, True, False),
        (True, False, True),
        (False, False, False),
    ]


def test_links_that_lead_to_themselves_lead_nowhere(tmp_path: Path) -> None:
    link, loop = tmp_path / "link", tmp_path / "loop"
    link.symlink_to(tmp_path)
    loop.symlink_to(loop)
    assert real_path(link / "new") == tmp_path.resolve() / "new"
    assert [exists(loop), exists(real_path(loop)), is_file(loop), is_folder(loop)] == [False] * 4


def test_a_users_code_is_neither_pythons_nor_a_packages(tmp_path: Path) -> None:
    own, debians = tmp_path / "losses.py", tmp_path / "dist-packages" / "losses.py"
    debians.parent.mkdir()
    own.touch()
    debians.touch()
    files = [own, debians, Path(pytest.__file__), Path(json.__file__), Path("<frozen importlib._bootstrap>")]
    assert [is_users_code(path) for path in files] == [True, False, False, False, False]
    assert [is_installed(path) for path in files] == [False, True, True, False, False]


def test_modules_of_ones_own_are_looked_for_in_the_current_folder_only_if_python_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    beside = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), str(tmp_path / "absent"), "__a_finder__"]
    monkeypatch.setattr(sys, "path", ["", *beside, str(tmp_path), str(tmp_path.parent)])
    assert folders_of_users_code() == [tmp_path, tmp_path.parent]
    monkeypatch.setattr(sys, "path", beside)
    assert folders_of_users_code() == []
