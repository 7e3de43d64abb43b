"""Spaces of which little is allowed, or that are exhausted."""

import json
import sys
from collections import deque
from pathlib import Path
from types import ModuleType

import pytest
from conducted import FakeLimits, begin, journal, report
from optuna.samplers import BaseSampler, GridSampler
from optuna.trial import TrialState
from played_sessions import TABLES

from distill_tune.config import Space
from distill_tune.errors import DistillTuneError
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.samplers import Sampler
from distill_tune.tuning.schedulers.asha import Asha
from distill_tune.tuning.schedulers.promotion import Promotion
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.logbook import JOURNAL
from distill_tune.tuning.state.records import Status, TrialRecord

NEITHER = {"target_weight": {"choice": [1.0, 0.0]}, "non_target_weight": {"choice": [1.0, 0.0]}}
"""Each value is valid on its own, but two weights of 0 leave nothing to distill."""


def test_values_that_break_a_rule_together_are_an_infeasible_trial_and_the_search_goes_on(tmp_path: Path) -> None:
    tables = {"data": {"source": "digits"}, "student": {"family": "mlp"}, "loss": {"kind": "dkd", "dkd": NEITHER}}
    space = Space.parse({**tables, "search": {"max_epochs": 9, "sampler": "random"}})
    study, limits = Study(tmp_path / "study.journal", "s", space), FakeLimits(None)
    conductor = Conductor(study, Asha().judge(space.config.search), Ledger(), Budget(20), limits, 100)  # type: ignore[arg-type]
    while not conductor.is_over:
        begin(conductor)
    assert not conductor.why_exhausted
    assert conductor.ledger.count(Status.RUNNING) == 20
    refused = [record for record in conductor.ledger.records.values() if record.status is Status.INFEASIBLE]
    assert refused
    assert all(record.message.startswith("loss.dkd.target_weight: must not be 0 where") for record in refused)
    told = [trial for trial in journal(tmp_path) if trial.state is TrialState.PRUNED]
    assert [trial.number for trial in told] == [record.number for record in refused]
    assert all({*trial.params.values()} == {0.0} and trial.constraints == {"limits": 1.0} for trial in told)


def grid_of(tmp_path: Path, limits: FakeLimits, places: int, convnets: int) -> Conductor:
    """A grid of three combinations of one family, and three times `convnets` of another."""
    student = {"family": ["mlp", "convnet"], "convnet": {"width": {"int": [4, 3 + convnets]}}}
    optim = {"batch_size": {"choice": [16, 32, 64]}}
    tables = {"data": {"source": "digits"}, "student": student, "optim": optim}
    space = Space.parse({**tables, "search": {"max_epochs": 9, "sampler": "grid"}})
    study, first_settings = Study(tmp_path / "study.journal", "s", space), deque([space.middle()])
    judge = Asha().judge(space.config.search)
    return Conductor(study, judge, Ledger(), Budget(1000), limits, places, first_settings, {"student.family": "mlp"})  # type: ignore[arg-type]


@pytest.mark.parametrize("places", [1, 4, 100])
def test_a_grid_tries_every_combination_once_in_however_many_places_and_ends(tmp_path: Path, places: int) -> None:
    conductor, at_work = grid_of(tmp_path, FakeLimits(None), places, convnets=4), deque[str]()
    while not conductor.is_over:
        proposal = conductor.propose()
        if proposal is not None:
            at_work.append(proposal.trial_id)
        elif at_work:
            conductor.take_reports(at_work[0], report(9, 0.5))
            conductor.ended(at_work.popleft(), None)
    tried = [tuple(map(str, record.values.values())) for record in conductor.ledger.records.values()]
    assert len(tried) == len(set(tried)) == 3 + 3 * 4
    assert "every combination of the space has been tried" in conductor.why_exhausted


class Ending(Sampler):
    """One of Optuna's samplers that runs out, as a user would name it in a custom module."""

    def build(self, seed: int, number: int) -> BaseSampler:
        return GridSampler({"optim.batch_size": [16, 32], "optim.learning_rate": [0.01, 0.02, 0.03]}, seed=seed)


@pytest.mark.parametrize("pauses", [False, True])
def test_a_sampler_of_ones_own_that_stops_the_study_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: bool
) -> None:
    mine = ModuleType("my_samplers")
    mine.Ending = Ending  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_samplers", mine)
    optim = {"batch_size": {"choice": [16, 32]}, "learning_rate": {"choice": [0.01, 0.02, 0.03]}}
    tables = {"data": {"source": "digits"}, "student": {"family": "mlp"}, "optim": optim}
    space = Space.parse({**tables, "search": {"max_epochs": 9, "sampler": "my_samplers:Ending"}})
    judge = (Promotion() if pauses else Asha()).judge(space.config.search)
    study = Study(tmp_path / JOURNAL, "s", space)
    conductor = Conductor(study, judge, Ledger(), Budget(1000), FakeLimits(None), 2)  # type: ignore[arg-type]
    at_work = deque[str]()
    while not conductor.is_over:
        if (proposal := conductor.propose()) is not None:
            at_work.append(proposal.trial_id)
        else:
            name = at_work.popleft()
            epoch = conductor.ledger.records[name].epochs
            goes_on = True
            while goes_on and epoch < 9:
                epoch += 1
                goes_on = conductor.take_reports(name, report(epoch, 0.5))
            conductor.ended(name, None)
    tried = {tuple(map(str, record.values.values())) for record in conductor.ledger.records.values()}
    assert len(tried) == 2 * 3
    assert conductor.why_exhausted == "search.sampler: it has stopped the study."


def test_a_grid_is_tried_to_its_end_however_many_students_in_a_row_are_over_the_limits(tmp_path: Path) -> None:
    conductor = grid_of(tmp_path, FakeLimits("convnet"), 2, convnets=60)
    while not conductor.is_over:
        if (proposal := conductor.propose()) is not None:
            conductor.take_reports(proposal.trial_id, report(1, 0.5))
            conductor.ended(proposal.trial_id, None)
    tried = [tuple(map(str, record.values.values())) for record in conductor.ledger.records.values()]
    assert len(tried) == len(set(tried)) == 3 + 3 * 60
    assert conductor.ledger.count(Status.INFEASIBLE) == 3 * 60
    assert "every combination of the space has been tried" in conductor.why_exhausted


def test_the_grid_tries_every_combination_once_and_then_says_so(tmp_path: Path) -> None:
    space = Space.parse(
        {
            **TABLES,
            "optim": {"batch_size": {"choice": [32, 64]}},
            "search": {"sampler": "grid", "trials": 100, "max_epochs": 1},
        }
    )
    study, tried = Study(tmp_path / JOURNAL, "s", space), []
    for _ in range(2 * (3 + 5)):
        proposal = study.ask()
        tried.append(json.dumps(proposal.values, sort_keys=True))
        record = TrialRecord(proposal.number, "t", proposal.values, reports=[{"epoch": 1, "val/accuracy": 0.5}])
        study.tell(record, Status.COMPLETED)
    assert len(set(tried)) == len(tried)
    with pytest.raises(DistillTuneError, match="every combination of the space has been tried"):
        study.ask()
