"""A copy in an object store while others write there, files vanish, or the store rejects what it is given."""

import json
import threading
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from pyarrow import fs
from runs import run_space

from distill_tune import search
from distill_tune.cli import BAD_INPUT
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError, StorageError
from distill_tune.mirror import Mirror
from distill_tune.tuning.job import Job
from distill_tune.tuning.order import Order
from distill_tune.tuning.planning.fitting import Fitted
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.search_context import SearchContext
from distill_tune.tuning.showing.display import Reporter
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import LOGBOOK
from distill_tune.tuning.state.origin import Origin
from distill_tune.tuning.workers import files_on_nodes
from distill_tune.tuning.workers.files import Files

BOOK = "book.jsonl"
URI = "s3://bucket/x"


def write(made: Mirror, name: str, content: str = "x") -> Path:
    path = made.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(store: Any) -> set[str]:
    return {each.key for each in store.objects.all() if not each.key.endswith("/")}


def test_what_ends_while_it_is_copied_stays_there_until_the_logbook_there_says_so(store: Any) -> None:
    class Ending(Mirror):
        """Ends a training once the logbooks have been read."""

        def _check_alone(self, *given: Any) -> None:
            super()._check_alone(*given)
            checkpoint.unlink(missing_ok=True)

    made = Mirror(URI, BOOK)
    checkpoint = write(made, "one/checkpoint")
    write(made, f"one/{BOOK}", "begun\n")
    made.push("one")
    ending = Ending(URI, BOOK)
    ending.fetch("one")
    ending.push("one")
    assert "x/one/checkpoint" in names(store), "the logbook there still tells of it"
    ending.push("one")
    assert names(store) == {f"x/one/{BOOK}"}


def test_a_result_that_is_deleted_here_is_not_deleted_there(store: Any) -> None:
    made = Mirror(URI, BOOK)
    book = write(made, f"one/{BOOK}", "1\n")
    kept = write(made, "one/a")
    made.push("one")
    for path in (book, kept):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"/one/{BOOK} is gone$"):
        made.push("one")
    assert names(store) == {f"x/one/{BOOK}", "x/one/a"}


def test_a_folder_that_goes_while_it_is_looked_through_is_no_failure(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mirror(URI, BOOK)
    write(made, "one/a")
    going = made.folder / "one" / "going"
    going.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("os.scandir", vanishing(going))
        made.push("one")
    assert names(store) == {"x/one/a"}


def vanishing(folder: Path) -> Any:
    """An `os.scandir` that deletes `folder` just before looking into it."""
    from os import scandir

    def scan(path: Any) -> Any:
        if Path(path) == folder:
            folder.rmdir()
        return scandir(path)

    return scan


def test_what_another_machine_has_written_is_not_replaced(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = Mirror(URI, BOOK)
    book = write(ours, f"one/{BOOK}", "1\n")
    ours.push("one")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    theirs = Mirror(URI, BOOK)
    theirs.fetch("one")
    write(theirs, f"one/{BOOK}", "1\n2 of theirs\n")
    theirs.push("one")
    book.write_text("1\n2\n")
    write(ours, "one/a")
    with pytest.raises(FileExistsError, match="another program has written book"):
        ours.push("one")
    assert store.Object(f"x/one/{BOOK}").get()["Body"].read() == b"1\n2 of theirs\n"
    assert names(store) == {f"x/one/{BOOK}"}


def test_a_new_result_does_not_replace_one_of_its_name(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = Mirror(URI, BOOK)
    write(ours, f"one/{BOOK}", "1 of ours\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    theirs = Mirror(URI, BOOK)
    write(theirs, f"one/{BOOK}", "1 of theirs\n")
    for made in (ours, theirs):
        made.store.check_free("one")
    theirs.push("one")
    with pytest.raises(FileExistsError):
        ours.push("one")
    assert store.Object(f"x/one/{BOOK}").get()["Body"].read() == b"1 of theirs\n"


def test_a_logbook_that_was_written_though_the_store_has_not_said_so_is_ones_own(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mirror(URI, BOOK)
    writes = made.store.write

    def unheard(path: Path, content: bytes) -> None:
        writes(path, content)
        raise OSError("no answer")

    book = write(made, f"one/{BOOK}", "{1}\n")
    monkeypatch.setattr(made.store, "write", unheard)
    with pytest.raises(OSError, match="no answer"):
        made.push("one")
    book.write_text("{1, and 2}\n")  # like train.json, which is rewritten
    monkeypatch.setattr(made.store, "write", writes)
    made.push("one")
    assert store.Object(f"x/one/{BOOK}").get()["Body"].read() == b"{1, and 2}\n"


def test_what_another_machine_has_left_half_copied_goes_with_the_next_copy(store: Any) -> None:
    made = Mirror(URI, BOOK)
    write(made, f"one/{BOOK}", "1\n")
    made.push("one")
    store.put_object(Key="x/one/checkpoints/of-theirs.pt", Body=b"x")
    again = Mirror(URI, BOOK)
    again.fetch("one")
    again.push("one")
    assert names(store) == {f"x/one/{BOOK}"}


def test_several_programs_can_look_at_a_store_at_once(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Mirror(URI, BOOK)
    files = made.store._files

    class Shared:
        """A store in which another program checks too, and deletes what both have written."""

        def __getattr__(self, name: str) -> Any:
            return getattr(files, name)

        def delete_file(self, path: str) -> None:
            files.delete_file(path)
            files.delete_file(path)

    monkeypatch.setattr(made.store, "_files", Shared())
    made.store.check_writable()
    assert names(store) == set()


def test_a_last_copy_that_is_interrupted_holds_nobody_up_and_is_told_of(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, is_asked, is_answered = Mirror(URI, BOOK), threading.Event(), threading.Event()
    write(made, "one/a")
    copying = list[threading.Thread]()

    class Interrupted(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            raise KeyboardInterrupt

    def unanswered(path: Path) -> bool:
        copying.append(threading.current_thread())
        is_asked.set()
        return is_answered.wait()

    monkeypatch.setattr("distill_tune.mirror.threading", SimpleNamespace(Event=threading.Event, Thread=Interrupted))
    monkeypatch.setattr(made, "_send", unanswered)
    monkeypatch.setattr("atexit.unregister", unregister := Mock())
    with made.kept(made.folder / "one", print):
        assert is_asked.wait(timeout=30)
    with pytest.raises(StorageError, match=r"cannot be written \(interrupted\); all of it is in "):
        made.check_copied(made.folder / "one")
    assert all(each.daemon for each in copying), "Python waits for all others before it ends"
    unregister.assert_called_once_with(fs.ensure_s3_finalized)  # or Arrow would wait for these
    is_answered.set()


def finished_since_it_was_copied() -> Mirror:
    made = Mirror(URI, LOGBOOK)
    begun = json.dumps({"entry": "session", "at_s": 1.0, "command": "x"}) + "\n"
    book = write(made, f"one/{LOGBOOK}", begun)
    made.push("one")
    book.write_text(begun + json.dumps({"entry": "finished", "at_s": 2.0}) + "\n")
    return made


def test_a_search_that_has_ended_out_of_reach_of_its_store_is_copied_by_taking_it_up(
    store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = finished_since_it_was_copied()
    write(made, "one/best/README.md")
    resume = ["--resume", "--storage", URI, "--name", "one"]
    assert search.main(resume) == 0
    assert capsys.readouterr() == (f"Copying one, which is finished, to {URI}\n", "")
    assert names(store) == {f"x/one/{LOGBOOK}", "x/one/best/README.md"}
    assert search.main(resume) == BAD_INPUT, "there is nothing left to copy"


@pytest.mark.usefixtures("store")
def test_a_quiet_one_says_of_the_copy_only_that_it_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_since_it_was_copied()
    monkeypatch.setattr(Mirror, "push", Mock(side_effect=OSError("it is gone")))
    assert search.main(["--resume", "--storage", URI, "--name", "one", "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warning: s3://")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-file.toml"],
        ["--dry-run", "--trials", "2"],
        ["--set", "data.source='nowhere'"],
        ["--resume", "--name", "nothing"],
    ],
    ids=str,
)
def test_what_is_refused_or_only_planned_leaves_nothing_in_the_store(
    store: Any, tmp_path: Path, arguments: list[str]
) -> None:
    search.main([*arguments, "--storage", URI])
    assert list(store.objects.all()) == []
    assert not (tmp_path / "here").exists()


def test_a_store_that_refuses_what_is_written_is_told_of_before_anything_is_begun(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Mirror(URI, BOOK)
    monkeypatch.setattr(made.store, "_files", Mock(open_output_stream=Mock(side_effect=OSError("ACCESS_DENIED"))))
    with pytest.raises(ConfigError, match=r"^--storage s3://bucket/x: cannot be written to \(OSError: ACCESS_DENIED"):
        made.store.check_writable()


def test_a_search_that_a_node_without_room_ends_is_in_the_store_before_it_says_how_to_go_on(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another machine would have nothing to resume."""
    made, space = Mirror(URI, LOGBOOK), run_space(teacher={"train": {"epochs": 1}})
    preparation = prepare(space, made.folder / ".cache", lambda line: None)
    claim = Claim.of_new(made.folder / "one", space, "its command", Origin.of(preparation, space))
    fitted = Fitted(space, Limits(space.config.limits, preparation.dataset), {})

    class Begun(Job):
        def _search_context(self, stack: ExitStack) -> SearchContext:
            return SearchContext(claim, fitted, preparation, 1, 0.0)

    full = StorageError("node B has no room; make room, and --resume.")
    monkeypatch.setattr(files_on_nodes, "files_of", lambda folder: nullcontext(Files(folder, "mark")))
    monkeypatch.setattr(files_on_nodes, "check_nodes_have_room", Mock(side_effect=full))
    order = Order(space, "space.toml", claim.folder, "its command", mirror=made)
    with pytest.raises(StorageError, match="node B has no room"), ExitStack() as stack:
        Begun(order, Mock(spec=Reporter))._begin(stack)
    assert {f"x/one/{LOGBOOK}", "x/one/search.toml"} <= names(store)
    assert any(name.endswith("/teacher.safetensors") for name in names(store))
