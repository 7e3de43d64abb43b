"""The scheduler in docs/your_own_parts.md makes decisions in a search, played through without Ray."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import code_block

from distill_tune.config import Space
from distill_tune.data import prepare_data
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.proposals.study import Proposal, Study
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status

NAME = "my_scheduler:NearTheBest"


@pytest.fixture
def conductor(tmp_path: Path) -> Iterator[Conductor]:
    (tmp_path / "my_scheduler.py").write_text(code_block("docs/your_own_parts.md", "my_scheduler.py"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        search = {"scheduler": NAME, NAME: {"margin": 0.1}, "max_epochs": 9}
        space = Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}, "search": search})
        judge = space.config.search.chosen("scheduler").judge(space.config.search)
        limits = Limits(space.config.limits, prepare_data(space.config.data, tmp_path / "cache", key="TMPDIR"))
        yield Conductor(Study(tmp_path / "j", "s", space), judge, Ledger(), Budget(9), limits, concurrency=9)
        sys.modules.pop("my_scheduler", None)


def passes(conductor: Conductor, accuracy: float, epoch: int = 1) -> bool:
    """Whether a new trial with this accuracy continues; if not, it is ended."""
    proposal = conductor.propose()
    assert isinstance(proposal, Proposal)
    name = proposal.trial_id
    passed = conductor.take_reports(name, [{"epoch": epoch, "val/accuracy": accuracy}])
    if not passed:
        conductor.ended(name, None)
    return passed


def test_the_pages_own_scheduler_stops_whoever_is_too_far_below_the_best(conductor: Conductor) -> None:
    assert [rung.epochs for rung in conductor.judge.rungs] == [1, 3]
    assert [passes(conductor, accuracy) for accuracy in (0.5, 0.9, 0.85, 0.79)] == [True, True, True, False]
    assert conductor.judge.rungs[0].cutoff == pytest.approx(0.8)
    assert [record.status for record in conductor.ledger.records.values()] == [*[Status.RUNNING] * 3, Status.STOPPED]
    assert not passes(conductor, float("nan"))
    assert len(conductor.judge.rungs[0].scores) == 4
