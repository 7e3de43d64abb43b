"""Results in an object store, on a real S3 server: what is copied, and what can be resumed elsewhere."""

import fcntl
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePath
from typing import Any

import psutil
import pytest
import tomli_w
from runs import TABLE
from searches import SMALL, is_worker

from distill_tune import train
from distill_tune.cli import BAD_INPUT
from distill_tune.errors import ConfigError, StorageError
from distill_tune.mirror import Mirror
from distill_tune.search import fetched

BOOK = "book.jsonl"
OFTEN = (
    "import sys, distill_tune.mirror as mirror; mirror.EVERY_S = 0.2; "
    "from distill_tune.search import main; from distill_tune.cli import leave; leave(main(sys.argv[1:]))"
)
"""The command, copying more often than it does for users."""


def contents(store: Any) -> dict[str, bytes]:
    """What the store holds, except folder markers."""
    return {each.key: each.get()["Body"].read() for each in store.objects.all() if not each.key.endswith("/")}


def mirror(name: str = "team/results") -> Mirror:
    return Mirror(f"s3://bucket/{name}", BOOK)


def write(made: Mirror, name: str, content: str = "x") -> Path:
    path = made.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_a_copy_has_all_files_but_those_that_are_being_written(store: Any) -> None:
    made = mirror()
    for name in ("one/a", "one/deep/b", "one/.c", "one/.d/e", "other/f"):
        write(made, name, name)
    made.push("one")
    assert contents(store) == {f"team/results/one/{name}": f"one/{name}".encode() for name in ("a", "deep/b")}


def test_what_is_gone_here_goes_there_and_what_has_changed_is_copied_again(store: Any) -> None:
    made = mirror()
    gone, changed = write(made, "one/gone"), write(made, "one/changed")
    made.push("one")
    gone.unlink()
    changed.write_text("longer")
    made.push("one")
    assert contents(store) == {"team/results/one/changed": b"longer"}


def test_what_has_not_changed_is_not_sent_again(store: Any) -> None:
    made = mirror()
    write(made, "one/a")
    write(made, f"one/{BOOK}", "entry\n")
    made.push("one")
    store.objects.delete()
    made.push("one")
    assert contents(store) == {}


@pytest.mark.usefixtures("store")
def test_twice_as_many_files_are_twice_the_work_where_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search of ten thousand trials has as many runs and checkpoints, and a thread copies it meanwhile."""

    class Sent(Mirror):
        def _send(self, path: Path) -> bool:
            return True

    made, hashed, asked = Sent("s3://bucket/x", BOOK), PurePath.__hash__, list[int]()
    for count in (100, 200):
        for number in range(count):
            write(made, f"one/{number}")
        made.push("one")
        with monkeypatch.context() as patch:
            calls = list[PurePath]()
            patch.setattr(PurePath, "__hash__", lambda path, calls=calls: calls.append(path) or hashed(path))
            made.push("one")
        asked.append(len(calls))
    assert asked[1] < 3 * asked[0]


def test_a_logbook_in_the_store_never_tells_of_what_is_not_there(store: Any) -> None:
    class Growing(Mirror):
        """Meanwhile a search writes, first to its study and then to its logbook."""

        def _send(self, path: Path) -> bool:
            sent = super()._send(path)
            grow(self)
            return sent

    def grow(made: Mirror) -> None:
        study, book = made.folder / "one/study", made.folder / "one" / BOOK
        study.parent.mkdir(parents=True, exist_ok=True)
        with study.open("a") as file:
            file.write("trial\n")
        with book.open("a") as file:
            file.write(json.dumps({"study_bytes": study.stat().st_size}) + "\n" + "half an en")
        book.write_text(book.read_text().removesuffix("half an en"))

    made = Growing("s3://bucket/x", BOOK)
    grow(made)
    for _ in range(3):
        made.push("one")
        found = contents(store)
        told = [json.loads(line)["study_bytes"] for line in found[f"x/one/{BOOK}"].splitlines()]
        assert told
        assert max(told) <= len(found["x/one/study"])


def test_a_half_written_entry_of_a_logbook_is_not_copied(store: Any) -> None:
    made = mirror()
    write(made, f"one/{BOOK}", "entry\nhalf an en")
    made.push("one")
    assert contents(store) == {f"team/results/one/{BOOK}": b"entry\n"}


def test_what_comes_after_a_hole_in_a_logbook_is_not_copied(store: Any) -> None:
    """No search goes on from there (`History`), so no machine should take it for the result's past."""
    made = mirror()
    write(made, f"one/{BOOK}", "entry\n\0\0\n4\n")
    made.push("one")
    assert contents(store) == {f"team/results/one/{BOOK}": b"entry\n"}


@pytest.fixture
def elsewhere(store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mirror:
    """A mirror on another machine, of a result with a logbook of two entries and one other file."""
    made = mirror()
    write(made, f"one/{BOOK}", "1\n2\n")
    write(made, "one/deep/a")
    made.push("one")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    return mirror()


def test_a_result_is_brought_to_another_machine_whole(elsewhere: Mirror) -> None:
    elsewhere.fetch("one")
    found = {path.name: path.read_text() for path in elsewhere.folder.rglob("*") if path.is_file()}
    assert found == {BOOK: "1\n2\n", "a": "x"}
    assert elsewhere.names == ["one"]
    elsewhere.store.check_free("two")
    with pytest.raises(ConfigError, match=r"^--name one: s3://bucket/team/results/one holds another result; choose "):
        elsewhere.store.check_free("one")


def test_a_copy_that_was_cut_short_on_its_way_here_is_made_anew(elsewhere: Mirror) -> None:
    class Cut(Mirror):
        def _bring(self, path: Path) -> None:
            if path.name == "a":
                raise OSError("gone")
            super()._bring(path)

    with pytest.raises(ConfigError, match=r"cannot be read \(OSError: gone\); try again\.$"):
        Cut(elsewhere.store.uri, BOOK).fetch("one")
    elsewhere.fetch("one")
    assert (elsewhere.folder / "one/deep/a").read_text() == "x"


def test_a_copy_that_was_cut_short_among_its_logbooks_is_made_anew(elsewhere: Mirror) -> None:
    """The missing logbook of a second search would look as if somebody had deleted it here."""
    beside = Path("one/beside", BOOK)
    elsewhere.store.write(beside, b"1\n")

    class Cut(Mirror):
        def _bring(self, path: Path) -> None:
            if path == beside:
                raise OSError("gone")
            super()._bring(path)

    with pytest.raises(ConfigError, match=r"cannot be read \(OSError: gone\); try again\.$"):
        Cut(elsewhere.store.uri, BOOK).fetch("one")
    elsewhere.fetch("one")
    elsewhere.push("one")
    assert (elsewhere.folder / beside).read_text() == "1\n"
    assert elsewhere.store.read(beside) == b"1\n"


def test_of_a_result_that_is_nowhere_no_folder_is_made(elsewhere: Mirror) -> None:
    assert fetched("two", elsewhere) is False
    assert not elsewhere.folder.exists()


def test_two_programs_that_take_up_the_same_result_at_once_do_not_delete_what_the_other_has_brought(
    elsewhere: Mirror,
) -> None:
    is_brought, uri = threading.Event(), elsewhere.store.uri

    class Second(Mirror):
        def _bring(self, path: Path) -> None:
            is_brought.wait(20)
            super()._bring(path)

    second = threading.Thread(target=lambda: fetched("one", Second(uri, BOOK)))

    class First(Mirror):
        def _bring(self, path: Path) -> None:
            super()._bring(path)
            if path.name == "a":
                second.start()
                second.join(1.0)  # long enough to find no logbook here

    fetched("one", First(uri, BOOK))
    assert (elsewhere.folder / "one/deep/a").exists()
    is_brought.set()
    second.join()
    assert (elsewhere.folder / "one/deep/a").read_text() == "x"


@pytest.mark.parametrize(
    ("here", "afterwards"), [("1\n", "1\n2\n"), ("1\n2\n", "1\n2\n"), ("1\n2\n3\n", "1\n2\n3\n"), ("", "1\n2\n")]
)
def test_of_two_copies_the_one_that_has_gone_on_is_kept(elsewhere: Mirror, here: str, afterwards: str) -> None:
    book = write(elsewhere, f"one/{BOOK}", here)
    elsewhere.fetch("one")
    assert book.read_text() == afterwards


def test_a_result_in_which_a_search_is_at_work_here_is_not_replaced(elsewhere: Mirror) -> None:
    book = write(elsewhere, f"one/{BOOK}", "1\n")
    with book.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(
            ConfigError, match=r"^--name one: another program is at work in .*/one, from which s3://bucket/"
        ):
            elsewhere.fetch("one")
        assert book.read_text() == "1\n"
    assert not elsewhere.fetch("one")
    assert book.read_text() == "1\n2\n"


def test_a_logbook_that_a_lost_disk_has_left_with_a_hole_is_replaced_by_the_whole_one(elsewhere: Mirror) -> None:
    book = write(elsewhere, f"one/{BOOK}", "1\n\0\0\0\n")
    elsewhere.fetch("one")
    assert book.read_text() == "1\n2\n"


def test_copies_that_have_diverged_are_refused(elsewhere: Mirror) -> None:
    book = write(elsewhere, f"one/{BOOK}", "1\n3\n")
    with pytest.raises(ConfigError, match=r"--name one: s3://bucket/team/results/one and .* have diverged"):
        elsewhere.fetch("one")
    assert book.read_text() == "1\n3\n"


@pytest.mark.parametrize("ours", ["1\n", "1\n2\n"])
def test_of_a_search_beside_it_too_one_copy_must_have_gone_on_from_the_other(elsewhere: Mirror, ours: str) -> None:
    """For example, hours of the search without a teacher, which leave the main logbook unchanged."""
    write(elsewhere, f"one/{BOOK}", ours)
    beside = write(elsewhere, f"one/baseline/{BOOK}", "1\n2\n")
    if ours == "1\n":  # the main search has continued there, the other one here
        with pytest.raises(ConfigError, match="have diverged"):
            elsewhere.fetch("one")
    else:
        assert elsewhere.fetch("one")
    assert beside.read_text() == "1\n2\n"


def test_what_was_brought_is_not_sent_back(elsewhere: Mirror, store: Any) -> None:
    elsewhere.fetch("one")
    store.objects.delete()
    elsewhere.push("one")
    assert list(contents(store)) == [f"team/results/one/{BOOK}"], "which is short, and whose length is all that counts"


def test_a_fault_that_is_none_of_the_stores_does_not_pass_for_a_copy(store: Any) -> None:
    class Faulty(Mirror):
        def push(self, name: str) -> None:
            raise ValueError("no path of Arrow's")

    made, said = Faulty("s3://bucket/x", BOOK), list[str]()
    with made.kept(made.folder / "one", said.append):
        pass
    assert said == [
        "warning: s3://bucket/x/one cannot be written (ValueError: no path of Arrow's); it is tried again",
    ]
    with pytest.raises(StorageError, match=r"cannot be written \(ValueError: no path of Arrow's\); all of it is in "):
        made.check_copied(made.folder / "one")


def test_a_store_that_fails_is_told_of_once_and_tried_again(
    store: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(Mirror):
        is_lost = True

        def push(self, name: str) -> None:
            if self.is_lost:
                raise OSError("no answer")
            super().push(name)

    said = list[str]()
    made = Lost("s3://bucket/x", BOOK)
    write(made, "one/a")
    for _ in range(2):
        with made.kept(made.folder / "one", said.append):
            pass
    assert said == ["warning: s3://bucket/x/one cannot be written (OSError: no answer); it is tried again"]
    with pytest.raises(
        StorageError, match=r"^s3://bucket/x/one cannot be written \(OSError: no answer\); all of it is in "
    ):
        made.check_copied(made.folder / "one")
    made.is_lost = False
    with made.kept(made.folder / "one", said.append):
        pass
    made.check_copied(made.folder / "one")
    assert contents(store) == {"x/one/a": b"x"}


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("s3://nowhere/x", "there is no bucket 'nowhere'; make it, or name another."),
        ("s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http", r"cannot be read \(OSError: .*\); try again\."),
    ],
)
def test_a_store_that_cannot_be_reached_is_refused_in_one_line(store: Any, uri: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        Mirror(uri, BOOK)
    assert "\n" not in str(refused.value)


def test_a_training_is_copied_with_its_students(store: Any, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(tomli_w.dumps(TABLE | {"search": {"max_epochs": 1}}))
    run = [str(tmp_path / "run.toml"), "--storage", "s3://bucket/t", "--name", "a"]
    assert train.main(run) == 0
    found = contents(store)
    assert {"t/a/train.json", "t/a/seed-0/student.safetensors"} <= set(found)
    assert not any(key.startswith("t/.cache") for key in found)
    shutil.rmtree(tmp_path / "here")
    assert train.main(run) == BAD_INPUT


def command(storage: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", OFTEN, "--storage", storage, *arguments]


def entries(store: Any, key: str) -> list[dict[str, Any]]:
    books = [each.get()["Body"].read() for each in store.objects.filter(Prefix=key)]
    return [json.loads(line) for book in books for line in book.splitlines()]


def ended(told: list[dict[str, Any]]) -> set[str]:
    return {entry["trial_id"] for entry in told if entry["entry"] == "ended" and "trial_id" in entry}


@pytest.mark.ray
@pytest.mark.timeout(280)
def test_a_search_whose_machine_is_lost_goes_on_elsewhere(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uri, key = "s3://bucket/team", "team/lost/ledger.jsonl"
    with subprocess.Popen(command(uri, "--name", "lost", *SMALL), stdout=subprocess.DEVNULL) as first:
        try:
            while len(ended(entries(store, key))) < 2:
                assert first.poll() is None
                time.sleep(0.05)  # polling interval
            family = psutil.Process(first.pid).children(recursive=True)
        finally:
            first.kill()
    psutil.wait_procs([each for each in family if is_worker(each)], timeout=60)
    known = ended(entries(store, key))
    assert "team/lost/summary.json" not in contents(store)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    unnamed = subprocess.run(command(uri, "--resume"), capture_output=True, text=True, check=False)
    assert (unnamed.returncode, unnamed.stdout) == (BAD_INPUT, "")
    assert unnamed.stderr == (
        "error: --resume: of a storage that is a URI, --name must say which search; there are: lost.\n"
    )
    again = subprocess.run(
        command(uri, "--resume", "--name", "lost"), capture_output=True, text=True, timeout=200, check=False
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.splitlines()[-1] == "copy         s3://bucket/team/lost"
    told = entries(store, key)
    began = [entry["trial"]["trial_id"] for entry in told if entry["entry"] == "started"]
    assert len(began) == len(set(began)), "a trial that had ended was run again"
    assert known <= ended(told)
    assert len([name for name in ended(told) if not name.startswith("confirm-")]) == 14

    found = contents(store)
    assert json.loads(found["team/lost/summary.json"])["status"] == "complete"
    (here,) = (tmp_path / "there/distill_tune").glob("bucket-team-*/lost")
    assert found == {
        f"team/lost/{path.relative_to(here).as_posix()}": path.read_bytes()
        for path in here.rglob("*")
        if path.is_file()
    }
    taken = subprocess.run(command(uri, "--name", "lost", *SMALL), capture_output=True, text=True, check=False)
    assert (taken.returncode, taken.stdout) == (BAD_INPUT, "")
    assert "--name lost: " in taken.stderr
