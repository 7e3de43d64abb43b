"""Whose fault an exception is: a custom part's is reported in one line, ours in full."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, PydanticUserError

from distill_tune.cli import guarded
from distill_tune.distillation.losses.soft_targets import SoftTargets
from distill_tune.errors import ConfigError, DataError, TrainingError, one_line
from distill_tune.users_faults import fault_of_users, no_end_of_the_process, users_faults_refused

PART = """
import json

def raises():
    raise KeyError("k")

def ends():
    raise SystemExit(0)

def calls_a_library():
    json.loads("{")

def calls_ours():
    from distill_tune.config import load_space
    load_space(None, [])

def is_out_of_room():
    raise OSError(28, "No space left on device")
"""
Part = Callable[[str], Callable[[], Any]]


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Part:
    (tmp_path / "part_of_mine.py").write_text(PART)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    module = importlib.import_module("part_of_mine")
    return lambda name: getattr(module, name)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("name", "line", "what"),
    [
        ("raises", 5, "has raised KeyError: 'k'; mend it."),
        ("ends", 8, "has ended the program; mend it."),
        ("calls_a_library", 11, "has raised JSONDecodeError: Expecting property name"),
        ("is_out_of_room", 18, "has raised OSError: [Errno 28] No space left on device; mend it."),
    ],
)
def test_what_a_part_raises_is_told_with_its_place(
    part: Part, capsys: pytest.CaptureFixture[str], name: str, line: int, what: str
) -> None:
    assert guarded(lambda: int(part(name)())) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {name} in part_of_mine.py, line {line}, {what}")
    assert said.count("\n") == 1


def test_before_anything_is_started_it_is_bad_input(part: Part, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        with users_faults_refused():
            part("ends")()
        return 0

    assert guarded(command) == 2
    assert capsys.readouterr().err == "error: ends in part_of_mine.py, line 8, has ended the program; mend it.\n"


def test_a_part_that_ends_the_program_while_it_trains_ends_its_training_alone(part: Part) -> None:
    said = r"^ends in part_of_mine\.py, line 8, has ended the program; mend it\.$"
    with pytest.raises(TrainingError, match=said), no_end_of_the_process():
        part("ends")()
    with pytest.raises(KeyError), no_end_of_the_process():
        part("raises")()


def test_that_ray_ends_the_process_is_no_fault_of_what_was_training(part: Part) -> None:
    ends = SystemExit(1)
    ends.ray_terminate_msg = "The process receives a SIGTERM."  # type: ignore[attr-defined]
    with pytest.raises(SystemExit) as caught, no_end_of_the_process():
        raise ends
    assert caught.value is ends


def test_what_a_part_calls_of_ours_is_no_fault_of_its_own(part: Part) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is
        part("calls_ours")()
    assert fault_of_users(caught.value) == ""


def test_a_library_that_we_call_is_no_fault_of_users() -> None:
    from distill_tune.weights import write_weights

    with pytest.raises(AttributeError) as caught:
        write_weights(Path("/nowhere/w"), None)  # type: ignore[arg-type]
    assert fault_of_users(caught.value) == ""


def test_our_own_refusals_stay_what_they_are() -> None:
    with pytest.raises(DataError, match="the data"), users_faults_refused():
        raise DataError("the data")


def test_one_line_names_the_kind_once() -> None:
    assert one_line(ConfigError("a\nb")) == "ConfigError: a b"


def test_one_line_leads_to_no_pages_of_a_librarys() -> None:
    with pytest.raises(PydanticUserError) as caught:
        type("Odd", (BaseModel,), {"scale": 2.0, "__module__": __name__})
    assert "errors.pydantic.dev" in str(caught.value)
    assert re.fullmatch(r"PydanticUserError: .*non-annotated attribute.*`ClassVar` or .*'\]`\.", one_line(caught.value))


def test_a_library_that_ends_the_program_is_told_with_its_whole_story(capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    def command() -> int:
        argparse.ArgumentParser().parse_args(["--version-of-nothing"])
        return 0

    command.__code__ = command.__code__.replace(co_filename="<string>")
    assert guarded(command) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_part_that_would_remember_something_is_told_that_it_cannot() -> None:
    with pytest.raises(ValueError, match="frozen") as refused:
        SoftTargets().count = 1  # type: ignore[attr-defined]
    assert one_line(refused.value) == (
        "ValidationError: SoftTargets.count cannot be set, since a part remembers nothing from one call to the next"
    )
