"""What changes the fingerprints of prepared data and of their split."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from source_files import Prepare, SaveNpz

from distill_tune.data.raw import RawTable


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"validation": 0.3}, {"test": 0.3}, {"student_samples": 100}, {"rest": "unlabelled"}],
)
def test_every_key_of_the_section_changes_the_fingerprint(prepare: Prepare, changed: dict[str, Any]) -> None:
    assert prepare("digits", **changed).fingerprint != prepare("digits").fingerprint


@pytest.mark.parametrize(
    ("changed", "is_another"),
    [
        *(({key: value}, True) for key, value in {"seed": 1, "validation": 0.3, "test": 0.3, "folds": 3}.items()),
        ({"npz": {"inputs": "inputs"}}, True),
        ({"student_samples": 9}, False),
        ({"rest": "unlabelled"}, False),
        ({"passes": 3}, False),
    ],
)
def test_the_split_has_a_fingerprint_of_its_own(
    prepare: Prepare, save_npz: SaveNpz, changed: dict[str, Any], is_another: bool
) -> None:
    first, second = prepare("npz", save_npz()), prepare("npz", save_npz(), **changed)
    assert (second.split_fingerprint != first.split_fingerprint) is is_another


def test_where_the_files_are_is_nothing_to_the_data(prepare: Prepare, save_npz: SaveNpz, tmp_path: Path) -> None:
    path = save_npz()
    elsewhere = shutil.copy(path, tmp_path / "copy.npz")
    first, second = prepare("npz", path), prepare("npz", elsewhere)
    assert second.split_fingerprint == first.split_fingerprint
    assert second.fingerprint == first.fingerprint
    assert prepare("npz", save_npz(labels=(np.arange(60) + 1) % 3)).split_fingerprint != first.split_fingerprint


def test_the_same_files_that_are_dealt_out_otherwise_are_another_split(
    prepare: Prepare, save_npz: SaveNpz, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, another version decodes pictures differently: what it trained may know test rows of this one."""
    first, hashes = prepare("npz", save_npz()), RawTable.row_hashes
    shutil.rmtree(cache)
    monkeypatch.setattr(RawTable, "row_hashes", lambda raw: ~hashes(raw))
    second = prepare("npz", save_npz())
    assert second.fingerprint == first.fingerprint
    assert second.split_fingerprint != first.split_fingerprint


def test_options_of_the_source_change_the_fingerprint(prepare: Prepare) -> None:
    assert prepare("blobs", blobs={"seed": 1}).fingerprint != prepare("blobs").fingerprint


def test_tables_of_other_sources_do_not_change_the_fingerprint(prepare: Prepare) -> None:
    assert prepare("digits", blobs={"seed": 1}).fingerprint == prepare("digits").fingerprint


def test_changed_content_changes_the_fingerprint(prepare: Prepare, save_npz: SaveNpz) -> None:
    first = prepare("npz", save_npz())
    second = prepare("npz", save_npz(labels=(np.arange(60) + 1) % 3))
    assert first.fingerprint != second.fingerprint
