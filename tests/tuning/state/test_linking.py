"""What is linked into a search's folder: the same files, all of them, and none that others are still writing."""

import shutil
from pathlib import Path

import pytest

from distill_tune.errors import CacheError
from distill_tune.tuning.state.linking import link_tree


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
