"""A first copy to an object store that is not finished: nothing can go on from it, and its name is free again."""

from pathlib import Path
from typing import Any

import pytest

from distill_tune import search
from distill_tune.cli import BAD_INPUT
from distill_tune.errors import ConfigError
from distill_tune.mirror import Mirror
from distill_tune.tuning.state.logbook import LOGBOOK

URI = "s3://bucket/x"


class Lost(Mirror):
    """Its machine is lost after the first files."""

    is_lost = True

    def _send(self, path: Path) -> bool:
        if self.is_lost and path.name == "study.journal":
            raise OSError("lost")
        return super()._send(path)


def write(made: Mirror, name: str, content: str = "x") -> None:
    path = made.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def names(store: Any) -> set[str]:
    return {each.key for each in store.objects.all() if not each.key.endswith("/")}


@pytest.fixture
def lost(store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lost:
    """A mirror whose first copy of the result `one` was cut short, on another machine."""
    made = Lost(URI, LOGBOOK)
    for name in (LOGBOOK, "cache/teacher.safetensors", "study.journal"):
        write(made, f"one/{name}", "of the first\n")
    with pytest.raises(OSError, match="lost"):
        made.push("one")
    assert "x/one/cache/teacher.safetensors" in names(store)
    assert f"x/one/{LOGBOOK}" not in names(store)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    return made


@pytest.mark.usefixtures("lost")
def test_one_that_was_cut_short_cannot_be_taken_up_and_the_message_says_what_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search.main(["--resume", "--storage", URI, "--name", "one"]) == BAD_INPUT
    assert capsys.readouterr() == (
        "",
        "error: --name one: the first copy to s3://bucket/x/one has not been finished, so no search can go on from it; "
        "if the program that made it is gone, begin again with --name one, which replaces it.\n",
    )
    assert not list((tmp_path / "there").rglob("one"))


@pytest.mark.usefixtures("lost")
def test_one_that_was_cut_short_is_replaced_by_a_search_that_is_begun_under_its_name(store: Any) -> None:
    again = Mirror(URI, LOGBOOK)
    again.check_free("one")
    for name in (LOGBOOK, "search.toml"):
        write(again, f"one/{name}", "of the second\n")
    again.push("one")
    assert names(store) == {f"x/one/{LOGBOOK}", "x/one/search.toml"}
    with pytest.raises(ConfigError, match="holds another result"):
        again.check_free("one")


def test_one_that_fails_once_goes_on_where_it_was(lost: Lost, store: Any) -> None:
    store.Object("x/one/cache/teacher.safetensors").delete()  # so that it would be seen if it were sent again
    lost.is_lost = False
    lost.push("one")
    assert names(store) == {f"x/one/{LOGBOOK}", "x/one/study.journal"}


def test_one_that_another_program_has_taken_for_lost_does_not_replace_what_that_has_written(
    lost: Lost, store: Any
) -> None:
    again = Lost(URI, LOGBOOK)
    for name in (LOGBOOK, "study.journal"):
        write(again, f"one/{name}", "of the second\n")
    with pytest.raises(OSError, match="lost"):
        again.push("one")
    lost.is_lost = again.is_lost = False
    with pytest.raises(FileExistsError, match="another program has begun to write one there"):
        lost.push("one")
    again.push("one")
    with pytest.raises(FileExistsError):
        lost.push("one")
    assert store.Object(f"x/one/{LOGBOOK}").get()["Body"].read() == b"of the second\n"


def test_files_of_the_user_do_not_pass_for_one(store: Any) -> None:
    """They would be deleted."""
    store.put_object(Key="x/data/letter.csv", Body=b"x")
    with pytest.raises(ConfigError, match=r"^--name data: s3://bucket/x/data holds another result; choose another"):
        Mirror(URI, LOGBOOK).check_free("data")
