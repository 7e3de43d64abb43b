"""A search that resumes with custom code that differs from its trials' code reports it, and continues."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill_tune.config import Space
from distill_tune.tuning.order import extended, taken_up
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK, Entry
from distill_tune.tuning.state.own_parts import loaded_by_trials, own_parts
from distill_tune.tuning.state.records import Status, TrialRecord

LOSS = """
from distill_tune.distillation.losses import Loss
from own_helpers import SCALE

class Mine(Loss):
    uses_temperature = False

    def soft(self, student_logits, teacher_logits, temperature):
        return SCALE * (student_logits - teacher_logits).square().mean()
"""
NET = "from torch import nn\n\ndef net(input_shape, classes):\n    return nn.Linear(input_shape[0], classes)\n"
FLIP = """
from distill_tune.distillation.augmentation import Transform

class Mine(Transform):
    amount: float = 0.0

    def apply(self, inputs, draw):
        return inputs
"""
Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """`write(name, text)`: edits a custom module; the first version of each is what this process has loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("own_loss", "own_helpers", "own_net", "own_flip"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def written(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    written("own_loss", LOSS)
    written("own_helpers", "SCALE = 1.0\n")
    written("own_net", NET)
    return written


@pytest.fixture
def space(write: Write) -> Space:
    return Space.parse(
        {
            "data": {"source": "digits"},
            "student": {"family": ["mlp", "own_net:net"]},
            "loss": {"kind": ["soft_targets", "own_loss:Mine"], "soft_weight": 0.5},
        }
    )


def searched(folder: Path, space: Space, *, trials: int = 1) -> Path:
    """The folder of a search that began and was ended."""
    claim = Claim.of_new(folder, space, "its first command")
    (folder / JOURNAL).touch()
    train(claim, trials)
    return folder


def train(claim: Claim, trials: int) -> None:
    first = len(claim.history.records)
    for number in range(first, first + trials):
        record = TrialRecord(number, f"{number:04d}", {})
        claim.logbook.trial_started(record)
        record.reach({"epoch": 1, "val/accuracy": 0.5}, False, at_s=0.0)
        claim.logbook.trial_reported(record)
        record.end(Status.COMPLETED, "", at_s=0.0)
        claim.logbook.trial_ended(record)
    claim.logbook.release()


def test_a_search_whose_code_is_as_it_was_has_nothing_to_say(tmp_path: Path, space: Space) -> None:
    assert taken_up(searched(tmp_path / "search", space), "", None).notes == ()


def test_an_edited_module_is_said_with_all_parts_that_are_made_of_it(
    tmp_path: Path, space: Space, write: Write
) -> None:
    folder = searched(tmp_path / "search", space)
    write("own_helpers", "SCALE = 2.0\n")
    (line,) = taken_up(folder, "", None).notes
    assert line == (
        "warning: 'own_loss:Mine' has changed since earlier trials were trained, in the code that it is made of or in "
        "a library's version: those trials are of the other version, and are ranked with the new"
    )
    write("own_net", f"{NET}# Linear.\n")
    (line,) = taken_up(folder, "", None).notes
    assert line.startswith("warning: 'own_loss:Mine', 'own_net:net' have changed since earlier trials were trained, in")


def test_it_is_said_as_long_as_there_are_trials_of_another_version(tmp_path: Path, space: Space, write: Write) -> None:
    folder = searched(tmp_path / "search", space)
    write("own_net", f"{NET}# Linear.\n")
    train(Claim.of_old(folder, "its second command", space=space), 1)
    assert len(taken_up(folder, "", None).notes) == 1
    with (folder / LOGBOOK).open("a") as book:
        book.write('{"entry":"finished","at_s":0}\n')
    assert len(extended(folder, 3, None, "", None).notes) == 1


@pytest.mark.parametrize("trials", [0, 1])
def test_code_that_was_mended_after_no_trial_could_be_used_is_not_said(
    tmp_path: Path, space: Space, write: Write, trials: int
) -> None:
    folder = searched(tmp_path / "search", space, trials=0)
    claim = Claim.of_old(folder, "", space=space)
    claim.logbook.write(Entry.FAILED)
    claim.logbook.release()
    write("own_net", f"{NET}# Mended.\n")
    assert taken_up(folder, "", None).notes == ()
    train(Claim.of_old(folder, "its second command", space=space), trials)
    assert taken_up(folder, "", None).notes == ()


def test_a_search_from_before_this_was_written_down_goes_on_in_silence(
    tmp_path: Path, space: Space, write: Write
) -> None:
    folder = searched(tmp_path / "search", space)
    first, *further = (folder / LOGBOOK).read_text().splitlines(keepends=True)
    old = {key: value for key, value in json.loads(first).items() if key != "own_parts"}
    (folder / LOGBOOK).write_text("".join([json.dumps(old) + "\n", *further]))
    write("own_helpers", "SCALE = 2.0\n")
    assert taken_up(folder, "", None).notes == ()


def test_a_space_of_registered_names_has_nothing_to_write_down(tmp_path: Path) -> None:
    space = Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}})
    assert own_parts(space) == {}
    assert "own_parts" not in (searched(tmp_path / "search", space) / LOGBOOK).read_text()


def test_further_terms_transforms_and_members_of_an_ensemble_count_too(write: Write) -> None:
    write("own_flip", FLIP)
    member = {"source": "train", "family": "own_net:net"}
    tables = {
        "data": {"source": "digits"},
        "teacher": {"source": "ensemble", "ensemble": {"members": {"big": member}}},
        "student": {"family": "mlp"},
        "loss": {"also": {"own_loss:Mine": 0.5}},
        "augmentation": {"own_flip:Mine": 1.0},
    }
    space = Space.parse(tables)
    assert list(own_parts(space)) == ["own_flip:Mine", "own_loss:Mine", "own_net:net"]
    assert loaded_by_trials(space) == ["own_flip:Mine", "own_loss:Mine"], "the driver trains the teachers"


def test_a_trial_loads_students_and_losses_of_ones_own(space: Space) -> None:
    assert loaded_by_trials(space) == ["own_loss:Mine", "own_net:net"]


@pytest.mark.parametrize(
    ("teacher", "loaded"),
    [
        ({"source": "train", "family": "own_net:net"}, ["own_net:net"]),
        ({"source": "torch", "path": "net.pt", "torch": {"factory": "own_net:net"}}, ["own_net:net"]),
        ({"source": "keras", "path": "net.h5", "keras": {"custom_objects": {"Net": "own_net:net"}}}, ["own_net:net"]),
        ({"source": "train", "family": "mlp"}, []),
    ],
    ids=lambda given: given["source"] if isinstance(given, dict) else "",
)
@pytest.mark.parametrize("is_member", [False, True])
def test_a_trial_loads_what_a_live_teacher_is_made_of_and_nothing_of_a_cached_one(
    write: Write, teacher: dict[str, Any], loaded: list[str], is_member: bool
) -> None:
    """Else each trial on a node that lacks it would kill its process."""
    if is_member:
        teacher = {"source": "ensemble", "ensemble": {"members": {"one": teacher}}}

    def of(mode: str) -> list[str]:
        tables = {"data": {"source": "digits"}, "student": {"family": "mlp"}, "teacher": {**teacher, "mode": mode}}
        return loaded_by_trials(Space.parse(tables))

    assert (of("cached"), of("live")) == ([], loaded)
