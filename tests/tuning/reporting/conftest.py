"""Results in every state in which a report may be requested."""

from collections.abc import Callable

import pytest
from reported import STATES

from distill_tune.tuning.reporting.result import Result


@pytest.fixture(scope="session")
def result_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Result]:
    """`result_in("complete")`: the result of a search in that state; each is played once."""
    known: dict[str, Result] = {}

    def made(state: str) -> Result:
        if state not in known:
            folder = tmp_path_factory.mktemp(state)
            STATES[state](folder)
            known[state] = Result.of(folder)
        return known[state]

    return made
