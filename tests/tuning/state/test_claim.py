"""Which result folder `--resume` and `--extend` take if none is named, and what it has of the shared cache."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from disks import as_nobody
from runs import run_space

from distill_tune.config import Space
from distill_tune.data.dataset import open_test
from distill_tune.distillation.cache.folders import outputs_are_whole, outputs_folder
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError
from distill_tune.export.claimed_folder import own_folder
from distill_tune.export.result_folder import default_name
from distill_tune.tuning.order import extended, taken_up
from distill_tune.tuning.planning.fitting import Fitted
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.search_context import SearchContext
from distill_tune.tuning.state.claim import SEARCH_TOML, Claim, newest, space_of
from distill_tune.tuning.state.logbook import LOGBOOK, Entry, HeldError, Logbook


def left(storage: Path, *names: str, is_finished: bool = False) -> None:
    """Make result folders, each newer than the one before."""
    for name in names:
        logbook = Logbook(storage / name)
        if is_finished:
            logbook.write(Entry.FINISHED)
        logbook.release()
        (storage / name / SEARCH_TOML).touch()
        age = len(list(storage.iterdir()))
        os.utime(storage / name / LOGBOOK, (age, age))


def test_of_all_it_is_the_one_that_was_written_to_last(tmp_path: Path) -> None:
    left(tmp_path, "b", "a")
    left(tmp_path, "c", is_finished=True)
    assert newest(tmp_path, None, is_finished=False).name == "a"
    assert newest(tmp_path, None, is_finished=True).name == "c"


def test_of_a_space_it_is_none_that_another_space_has_given_its_name_to(tmp_path: Path) -> None:
    left(tmp_path, "digits-20261124-131500", "digits_front-20261125-131500", "digits-front-20261126-131500")
    left(tmp_path, "digits-20261124-131500-again", "digits-mine")
    assert newest(tmp_path, Path("search_spaces/digits.toml"), is_finished=False).name == "digits-20261124-131500"


@pytest.mark.parametrize("name", ["my space", "odd[1]", "*", "ünï", "long" * 40, "-dash"])
def test_a_space_finds_what_it_has_given_its_name_to(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.toml"
    ours = default_name(path)
    left(tmp_path, ours, "another-20261124-131500")
    assert newest(tmp_path, path, is_finished=False).name == ours


def test_one_that_was_ended_while_its_folder_was_claimed_is_passed_over(tmp_path: Path) -> None:
    left(tmp_path, "whole", "half")
    (tmp_path / "half" / SEARCH_TOML).unlink()
    assert newest(tmp_path, None, is_finished=False).name == "whole"


def test_searches_that_claim_one_default_name_have_a_folder_each_and_a_name_that_was_given_is_refused(
    tmp_path: Path, small_space: Space
) -> None:
    folder = tmp_path / "digits-20261124-131500"
    claims = [Claim.of_new(folder, small_space, "", is_named=False) for _ in range(3)]
    assert [claim.folder.name for claim in claims] == [folder.name, f"{folder.name}-2", f"{folder.name}-3"]
    assert all(space_of(claim.folder) == small_space for claim in claims)
    with pytest.raises(HeldError, match="another program is at work in"):
        Claim.of_new(folder, small_space, "")
    for claim in claims:
        claim.logbook.release()
    with pytest.raises(HeldError, match="holds another result; choose another name"):
        Claim.of_new(folder, small_space, "")
    assert newest(tmp_path, Path("digits.toml"), is_finished=False).name.startswith(folder.name)


def test_a_search_leaves_a_folder_alone_in_which_a_training_has_begun_since_it_looked(
    tmp_path: Path, small_space: Space
) -> None:
    with own_folder(tmp_path, "a", Path("run.toml")) as folder:
        before = list(folder.iterdir())
        with pytest.raises(HeldError, match="holds another result; choose another name"):
            Claim.of_new(folder, small_space, "")
        claim = Claim.of_new(folder, small_space, "", is_named=False)
        assert (claim.folder.name, list(folder.iterdir())) == ("a-2", before)
        claim.logbook.release()


def test_a_damaged_one_is_told_of_and_passed_over(tmp_path: Path) -> None:
    left(tmp_path, "whole", "damaged")
    book = tmp_path / "damaged" / LOGBOOK
    book.write_bytes(b"\xff\xfe\n")
    os.utime(book, (9, 9))
    told: list[str] = []
    assert newest(tmp_path, None, is_finished=False, warn=told.append).name == "whole"
    assert told == [f"{book}: line 1 is damaged; the search cannot be taken up again, begin a new one."]


def test_another_user_s_is_told_of_and_passed_over(place_of_all: Path) -> None:
    left(place_of_all, "ours", "theirs")
    books = [place_of_all / name / LOGBOOK for name in ("ours", "theirs")]
    for book, mode, at_s in zip(books, (0o666, 0o444), (1, 9), strict=True):
        book.chmod(mode)
        os.utime(book, (at_s, at_s))
    told: list[str] = []
    with as_nobody():
        assert newest(place_of_all, None, is_finished=False, warn=told.append).name == "ours"
    assert told == [
        f"{books[1].parent}: ledger.jsonl cannot be read and written (Permission denied), as a search that goes on "
        "must; look at its permissions and its disk, or give the --name of another."
    ]


def test_another_user_s_is_not_taken_up(place_of_all: Path) -> None:
    left(place_of_all, "theirs")
    (place_of_all / "theirs" / LOGBOOK).chmod(0o444)
    for order in (lambda folder: taken_up(folder, "", None), lambda folder: extended(folder, 3, None, "", None)):
        with as_nobody(), pytest.raises(ConfigError, match="cannot be read and written"):
            order(place_of_all / "theirs")


@pytest.fixture
def place_of_all() -> Iterator[Path]:
    """A storage that other users can read, unlike pytest's own folders."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_space_without_a_result_is_named(tmp_path: Path) -> None:
    left(tmp_path, "letter-20261124-131500")
    with pytest.raises(ConfigError, match=r"holds no unfinished search that is named after digits\.toml; give --"):
        newest(tmp_path, Path("digits.toml"), is_finished=False)


def test_a_name_that_is_a_slip_of_another_gets_that_as_a_hint(tmp_path: Path) -> None:
    left(tmp_path, "letters-small", "digits")
    with pytest.raises(ConfigError, match=r"holds no search .* \(did you mean --name letters-small\?\)"):
        space_of(tmp_path / "letter-small")


def test_a_folder_whose_space_is_gone_is_not_its_own_hint(tmp_path: Path) -> None:
    left(tmp_path, "half")
    (tmp_path / "half" / SEARCH_TOML).unlink()
    with pytest.raises(ConfigError, match="could be taken up again; give"):
        space_of(tmp_path / "half")


def test_a_claim_that_the_disk_has_no_room_for_leaves_nothing(
    tmp_path: Path, small_space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("distill_tune.tuning.state.claim.write_search_toml", full)
    with pytest.raises(OSError, match="No space left"):
        Claim.of_new(tmp_path / "mine", small_space, "")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    again = Claim.of_new(tmp_path / "mine", small_space, "")
    again.logbook.release()
    assert space_of(again.folder) == small_space


def test_a_result_has_what_the_teacher_said_for_it_and_not_for_other_searches(tmp_path: Path) -> None:
    cache, said = tmp_path / ".cache", list[str]()
    for views in (1, 2):
        space = run_space(teacher={"views": views}, augmentation={"noise": 0.1})
        preparation = prepare(space, cache, said.append)
        claim = Claim.of_new(tmp_path / f"of_{views}", space, "command")
        linked = claim.link(preparation.prepared)
        claim.logbook.release()
        assert linked.teacher_folder is not None
        own = outputs_folder(linked.teacher_folder, space.config)
        assert [path.name for path in linked.teacher_folder.glob("views-*")] == [own.name]
        assert outputs_are_whole(own)
        assert (linked.teacher_folder / "teacher.safetensors").exists()
    assert preparation.prepared.teacher_folder is not None
    assert len(list(preparation.prepared.teacher_folder.glob("views-*"))) == 2


def test_a_search_needs_the_shared_cache_no_more_once_its_parts_are_linked(tmp_path: Path) -> None:
    """Another search, refused later, deletes there what it has made; the test split is opened at the very end."""
    cache, space = tmp_path / ".cache", run_space()
    preparation = prepare(space, cache, lambda line: None)
    fitted = Fitted(space, Limits(space.config.limits, preparation.dataset), {})
    claim = Claim.of_new(tmp_path / "ours", space, "command")
    ours = SearchContext(claim, fitted, preparation, 1, 0.0).linked().preparation
    claim.logbook.release()
    before = open_test(preparation.dataset).labels.tolist()
    shutil.rmtree(cache)
    assert open_test(ours.dataset).labels.tolist() == before
    assert len(ours.dataset.split("validation").labels) == ours.dataset.num_rows["validation"]
