"""TPE: like Optuna's up to its memory, and what it keeps beyond."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers._tpe import _truncnorm
from scipy.special import log_ndtr
from told_studies import NUMBERS, grown, space_with

from distill_tune.config import Space
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.samplers import proposal_seed
from distill_tune.tuning.samplers._forgetful import Forgetful, Kept, Recent
from distill_tune.tuning.state.records import Status, TrialRecord


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Round to nine digits: the normal distribution differs in the last."""
    return {name: float(f"{value:.9g}") if isinstance(value, float) else value for name, value in values.items()}


def kept_of(study: Study) -> Kept:
    """What the study's sampler keeps from proposal to proposal."""
    sampler = study._study.sampler
    assert isinstance(sampler, Forgetful)
    return sampler._kept[study._study]


CONDITIONAL = {**NUMBERS, "student": {"family": ["mlp", "convnet"], "convnet": {"width": {"choice": [4, 8, 16]}}}}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("tables", [NUMBERS, CONDITIONAL])
def test_up_to_its_memory_tpe_is_optunas_own(tables: dict[str, Any], tmp_path: Path) -> None:
    space = Space.parse(tables)
    study = Study(tmp_path / "j", "s", space)
    study.ask()  # stays running
    grown(study, 30, [Status.FAILED, Status.COMPLETED, Status.STOPPED])
    known, ours = study._study.trials, study.ask()
    own = optuna.samplers.TPESampler(
        n_startup_trials=10, multivariate=True, group=True, constant_liar=True, seed=proposal_seed(0, 31)
    )
    copy = optuna.create_study(direction="maximize", sampler=own)
    copy.add_trials(known)
    assert rounded(ours.values) == rounded(space.suggest(copy.ask()))


def test_the_logarithm_of_the_normal_distribution_in_tpe_is_optunas() -> None:
    points = np.concatenate([np.linspace(-40, 40, 801), [-1e3, -1e-300, 0.0, 1e3]])
    np.testing.assert_allclose(log_ndtr(points), _truncnorm._log_ndtr(points), rtol=1e-12, atol=1e-15)


def test_tpe_takes_that_logarithm_from_scipy_and_other_samplers_keep_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_others(points: Any) -> Any:
        raise AssertionError("this one is slow")

    monkeypatch.setattr(_truncnorm, "_log_ndtr", of_others)
    grown(Study(tmp_path / "j", "s", space_with()), 12)
    assert _truncnorm._log_ndtr is of_others


def test_beyond_its_memory_tpe_sees_the_latest_and_the_best(tmp_path: Path) -> None:
    study = Study(tmp_path / "j", "s", space_with(sampler="random"))
    grown(study, 250)
    seen = Recent(study._study, memory=100)._get_trials()
    numbers = [trial.number for trial in seen]
    assert numbers == sorted(numbers)
    assert set(range(150, 250)) < set(numbers)
    assert len(numbers) == 200
    older = sorted(study._study.trials[:150], key=lambda trial: -(trial.value or 0))
    assert {trial.number for trial in older[:100]} == set(numbers) - set(range(150, 250))


def test_what_tpe_remembers_from_proposal_to_proposal_is_what_a_look_at_all_trials_finds(tmp_path: Path) -> None:
    memory = 100
    study = Study(tmp_path / "j", "s", space_with(tpe={"memory": memory}, objectives="val/loss"))
    in_hand = study.ask()
    for _ in range(60):
        grown(study, 5, [Status.COMPLETED, Status.COMPLETED, Status.STOPPED])
        trials = study._study.get_trials(deepcopy=False)
        ended = [trial for trial in trials[:-memory] if trial.state is optuna.trial.TrialState.COMPLETE]
        best = sorted(ended, key=lambda trial: (trial.value or 0, trial.number))[:100]
        seen = Recent(study._study, memory, kept_of(study).older)._get_trials()
        assert [t.number for t in seen] == [*sorted(t.number for t in best), *(t.number for t in trials[-memory:])]
        if len(trials) == 201:  # a trial that ends long after it left the memory
            report = {"epoch": 1, "val/loss": 0.0}
            study.tell(TrialRecord(0, "t", in_hand.values, reports=[report]), Status.COMPLETED)
    assert best[0].number == 0


def test_what_tpe_keeps_outlives_a_proposal_and_belongs_to_one_search(tmp_path: Path) -> None:
    one, other = (Study(tmp_path / name, "s", space_with()) for name in "ab")
    grown(one, 12)
    before = kept_of(one)
    grown(one, 1)
    grown(other, 1)
    assert kept_of(one) is before
    assert [len(rows) for rows in before.rows.values()] == [12]
    assert kept_of(other) is not before
    assert not kept_of(other).rows
