"""A search that becomes a longer one, also where a kill comes between its logbook and its `search.toml`."""

from pathlib import Path

import pytest

from distill_tune.config import Space
from distill_tune.tuning.books.claim import SEARCH_TOML, Claim, space_of
from distill_tune.tuning.order import extended, taken_up

SPACE = Space.parse(
    {"data": {"source": "digits"}, "student": {"family": "mlp"}, "search": {"trials": 20, "time": "10m"}}
)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    claim = Claim.of_new(tmp_path / "search", SPACE, "its first command")
    claim.logbook.write("finished")
    claim.logbook.release()
    return claim.folder


def length(space: Space) -> tuple[int, str | None]:
    return space.config.search.trials, space.config.search.time


def extend(folder: Path, trials: int, time: str | None) -> None:
    """As far as that is written down."""
    order, claim = extended(folder, trials, time, "its second command", None), Claim.of_old(folder, "")
    order.enter(claim, order.space)
    claim.logbook.release()


@pytest.mark.parametrize("time", [None, "5m"])
def test_an_extension_that_was_killed_before_search_toml_goes_on_as_long_as_it_was_asked_to(
    finished: Path, time: str | None
) -> None:
    before = (finished / SEARCH_TOML).read_bytes()
    extend(finished, 6, time)
    (finished / SEARCH_TOML).write_bytes(before)
    order, claim = taken_up(finished, "its third command", None), Claim.of_old(finished, "")
    assert length(order.space) == (26, time)
    order.enter(claim, order.space)
    assert length(space_of(finished)) == (26, time)
    claim.logbook.write("finished")
    claim.logbook.release()
    assert length(extended(finished, 4, "1h", "", None).space) == (30, "1h")


def test_what_is_taken_up_without_a_change_keeps_the_search_toml_of_the_command_that_made_it(finished: Path) -> None:
    extend(finished, 6, "5m")
    written = (finished / SEARCH_TOML).read_bytes()
    order, claim = taken_up(finished, "its third command", None), Claim.of_old(finished, "")
    order.enter(claim, order.space)
    claim.logbook.release()
    assert (finished / SEARCH_TOML).read_bytes() == written
    assert b"its second command" in written
