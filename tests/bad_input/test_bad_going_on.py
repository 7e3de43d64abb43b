"""A search resumes with the data and teacher that it began with, or is refused and left unchanged."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from good import Refuse, rows

from distill_tune.config import load_space
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.export.result_folder import SEARCH_TOML
from distill_tune.tuning.order import extended, taken_up
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK, Entry
from distill_tune.tuning.state.origin import Origin

Begin = Callable[..., Path]
OWN_DATA = """
from good import rows
from distill_tune.data import RawTable
from distill_tune.data.sources import Source


class Mine(Source):
    def content(self, config):
        return "made here"

    def load(self, config):
        frame = rows()
        labels = frame.pop("kind").to_numpy()
        return RawTable(frame=frame, labels=labels, classes=("0", "1", "2"), where="mine")
"""


@pytest.fixture
def begin(folder: Path) -> Begin:
    """`begin(*settings)`: the result folder of a search that was killed before its first trial."""

    def begun(*settings: str) -> Path:
        space, results = load_space(folder / "space.toml", list(settings)), folder / "results"
        preparation = prepare(space, results / ".cache", lambda line: None)
        claim = Claim.of_new(results / "begun", space, "command", Origin.of(preparation, space))
        claim.link(preparation.prepared)
        claim.logbook.release()
        return claim.folder

    return begun


def finish(begun: Path) -> None:
    with (begun / LOGBOOK).open("a") as book:
        book.write('{"entry":"finished","at_s":0}\n')


@pytest.fixture
def write_source(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """`write_source(text)`: a module with a data source, to be loaded as by a new process."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of two versions within a second the first would be loaded

    def written(text: str) -> None:
        Path("own_data.py").write_text(text)
        sys.modules.pop("own_data", None)

    yield written
    sys.modules.pop("own_data", None)


def change_data() -> None:
    rows(61).to_csv("data.csv", index=False)


def change_teacher() -> None:
    np.save("teacher.npy", np.random.default_rng(2).normal(size=(60, 3)).astype(np.float32))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_data, "begun with other data than its [data] names now (fingerprint"),
        (change_teacher, "another teacher than its [teacher]"),
    ],
)
def test_changed_data_and_teachers_are_refused(
    begin: Begin, refuse: Refuse, change: Callable[[], None], said: str
) -> None:
    begun = begin()
    assert taken_up(begun, "command", None).folder == begun
    change()
    assert said in refuse(arguments=("--resume",))
    finish(begun)
    assert said in refuse(arguments=("--extend", "3", "--name", "begun"))


def test_an_edited_data_source_of_ones_own_is_refused_until_it_is_as_it_was(
    begin: Begin, refuse: Refuse, write_source: Callable[[str], None]
) -> None:
    write_source(OWN_DATA)
    begun = begin("data.source=own_data:Mine")
    write_source(f"{OWN_DATA}# edited\n")
    said = refuse(arguments=("--resume",))
    assert "than its [data] names now, or with another version of 'own_data:Mine', of what it imports, or of " in said
    write_source(OWN_DATA)
    assert taken_up(begun, "command", None).notes == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("passes = 2", "passes = 3"),
        ("views = 2", "views = 3"),
        ('keep = "all"', "keep = 2"),
        ('mode = "cached"', 'mode = "live"'),
        ("0.0123456789", "0.0123456788"),
        ("temperature = 3.5", "temperature = 3.0"),
    ],
)
def test_what_trials_are_trained_by_cannot_be_edited(begin: Begin, refuse: Refuse, old: str, new: str) -> None:
    many = [0.001234567, 0.002345678, 0.003456789, 0.0045678912, 0.0056789123, 0.0067891234, 0.0078912345, 0.0123456789]
    teacher = ["teacher.views=2", "teacher.keep='all'", "teacher.mode='cached'"]
    begun = begin("data.passes=2", "loss.temperature=3.5", f"optim.learning_rate={{choice={many}}}", *teacher)
    text = (begun / SEARCH_TOML).read_text()
    assert text.count(old) == 1
    (begun / SEARCH_TOML).write_text(text.replace(old, new))
    assert "search.toml of begun is not what the search was begun with" in refuse(arguments=("--resume",))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--resume", "--set", "search.trials=3"), "leave out --set"),
        (("--resume", "--time", "5m"), "--time goes with --extend"),
        (("--extend", "0"), "must be an integer from 1 on"),
        (("--resume", "--name", "nobody"), "holds no search"),
        (("--extend", "3", "--name", "begun"), "begun is not finished; go on with --resume first."),
        (("--resume", "--extend", "3"), "not allowed with"),
    ],
)
def test_what_cannot_go_on_is_refused(begin: Begin, refuse: Refuse, arguments: tuple[str, ...], said: str) -> None:
    begin()
    assert said in refuse(arguments=arguments)


def test_a_changed_teacher_is_refused_where_the_folders_own_data_are_gone(begin: Begin, refuse: Refuse) -> None:
    (data,) = (begin() / "cache").glob("data-*")
    data.rename(data.with_name("elsewhere"))
    change_teacher()
    assert "another teacher" in refuse(arguments=("--resume",))


def test_others_that_are_gone_are_refused_where_nothing_was_learnt_of_them_yet(begin: Begin, refuse: Refuse) -> None:
    begin("search.start_from=['gone']")
    assert "search.start_from: gone holds no study.journal" in refuse(arguments=("--resume",))


@pytest.mark.parametrize("arguments", [("--resume",), ("--extend", "3")])
def test_a_damaged_logbook_is_refused_before_anything_is_begun(
    begin: Begin, refuse: Refuse, arguments: tuple[str, ...]
) -> None:
    with (begin() / LOGBOOK).open("ab") as book:
        book.write(b"\xff\xfe\n")
    said = refuse(arguments=(*arguments, "--name", "begun"))
    assert f"{LOGBOOK}: line 2 is damaged; the search cannot be taken up again, begin a new one." in said


@pytest.mark.parametrize("arguments", [("--resume",), ("--extend", "3")])
def test_a_damaged_journal_is_refused_before_anything_is_begun(
    begin: Begin, refuse: Refuse, arguments: tuple[str, ...]
) -> None:
    begun = begin()
    lines = ['{"op_code": 0}\n', "XXXXXXXX\n", '{"op_code": 4}\n', '{"cut sho']
    (begun / JOURNAL).write_text("".join(lines))
    known = sum(map(len, lines[:3]))
    with (begun / LOGBOOK).open("a") as book:
        book.write(f'{{"entry":"{Entry.TEST_OPENED}","at_s":0,"study_bytes":{known}}}\n')
    if "--extend" in arguments:
        finish(begun)
    said = refuse(arguments=(*arguments, "--name", "begun"))
    assert f"{JOURNAL}: line 2 is damaged; put the file back as it was, or begin a new search." in said


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 6, b"\0" * 300, b'{"op_code": 0'])
def test_a_journal_without_its_beginning_is_refused_and_the_logbook_kept(
    begin: Begin, refuse: Refuse, content: bytes
) -> None:
    begun = begin()
    (begun / JOURNAL).write_bytes(content)
    with (begun / LOGBOOK).open("a") as book:
        book.write(f'{{"entry":"{Entry.TEST_OPENED}","at_s":0,"study_bytes":900}}\n')
    before = (begun / LOGBOOK).read_bytes()
    said = refuse(arguments=("--resume", "--name", "begun"))
    assert f"{JOURNAL}: line 1 is damaged; put the file back as it was, or begin a new search." in said
    assert (begun / LOGBOOK).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b'{"entry":"session"', b"\0" * 300])
def test_a_logbook_without_its_beginning_is_refused_beside_a_journal(
    begin: Begin, refuse: Refuse, content: bytes
) -> None:
    begun = begin()
    (begun / JOURNAL).write_text('{"op_code": 0}\n')
    (begun / LOGBOOK).write_bytes(content)
    said = refuse(arguments=("--resume", "--name", "begun"))
    assert f"{LOGBOOK}: line 1 is damaged; put the file back as it was, or begin a new search." in said


def test_a_logbook_of_a_newer_version_is_refused_before_anything_is_begun(begin: Begin, refuse: Refuse) -> None:
    with (begin() / LOGBOOK).open("a") as book:
        book.write('{"entry":"moved","at_s":0}\n')
    said = refuse(arguments=("--resume", "--name", "begun"))
    assert f"{LOGBOOK}: line 2 must be an entry that this distill_tune knows, but is 'moved'; a newer one may" in said


def test_a_search_to_start_from_is_given_once(refuse: Refuse, folder: Path) -> None:
    (folder / "one").mkdir()
    (folder / "other").symlink_to("one")
    assert "search.start_from: other is given twice; give each" in refuse("search.start_from=['one', 'other']")


def test_a_search_to_start_from_has_a_name_that_a_folder_can_have(
    refuse: Refuse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "long holds no study.journal; name" in refuse(f"search.start_from=['{'long' * 90}']")
    monkeypatch.setenv("HOME", str(folder / "home"))
    (folder / "home" / "other").mkdir(parents=True)
    (folder / "home" / "other" / "study.journal").touch()
    objectives = "search.objectives=['val/accuracy', 'parameters']"
    said = refuse("search.sampler=nsgaii", objectives, "search.start_from=['~/other']")
    assert "search.start_from: ~/other holds no ledger.jsonl" in said
    (folder / "home" / "other" / LOGBOOK).write_bytes(b"\xff\n")
    said = refuse("search.sampler=nsgaii", objectives, "search.start_from=['~/other']")
    assert f"search.start_from: {folder / 'home' / 'other' / LOGBOOK}: line 1 is damaged" in said


@pytest.mark.parametrize(
    ("before", "after"),
    [("max_epochs = 2", "max_epochs = 3"), ("width = { log_int = [8, 16] }", "width = { log_int = [8, 32] }")],
)
def test_an_edited_search_toml_is_refused(begin: Begin, folder: Path, refuse: Refuse, before: str, after: str) -> None:
    begun = begin("search.max_epochs=2")
    text = (begun / SEARCH_TOML).read_text()
    assert before in text
    (begun / SEARCH_TOML).write_text(text.replace(before, after))
    said = "the search.toml of begun is not what the search was begun with; put it back as it was, or begin"
    assert said in refuse(arguments=("--resume",))
    finish(begun)
    assert said in refuse(arguments=("--extend", "3", "--name", "begun"))


def test_resources_and_retries_may_be_edited(begin: Begin, folder: Path) -> None:
    begun = begin("resources.concurrent_trials=1", "search.retries=2")
    text = (begun / SEARCH_TOML).read_text()
    edited = text.replace("concurrent_trials = 1", "concurrent_trials = 2").replace("retries = 2", "retries = 0")
    assert edited != text
    (begun / SEARCH_TOML).write_text(edited)
    assert taken_up(begun, "command", None).space.config.resources.concurrent_trials == 2


def test_what_the_winner_is_written_as_may_be_edited(begin: Begin, folder: Path) -> None:
    begun = begin("export.formats=[]")
    text = (begun / SEARCH_TOML).read_text()
    (begun / SEARCH_TOML).write_text(text.replace("formats = []", 'formats = ["onnx"]'))
    assert taken_up(begun, "command", None).space.config.export.formats == ["onnx"]


def test_the_same_data_may_be_written_anew(begin: Begin, folder: Path) -> None:
    begun, data = begin(), (folder / "data.csv").read_bytes()
    (folder / "data.csv").unlink()
    (folder / "data.csv").write_bytes(data)
    assert taken_up(begun, "command", None).folder == begun
    finish(begun)
    assert extended(begun, 3, None, "command", None).folder == begun


def test_a_search_that_was_begun_before_this_was_written_down_goes_on(begin: Begin) -> None:
    begun = begin()
    first = json.loads((begun / LOGBOOK).read_text())
    (begun / LOGBOOK).write_text(json.dumps({key: first[key] for key in ("entry", "at_s", "command")}) + "\n")
    change_data()
    assert taken_up(begun, "command", None).folder == begun
