"""Confirmation, examination and summary on a real Ray: what is trained again, and how it does on the test split."""

from typing import Any

import numpy as np
import pytest

from distill_tune.config.space import Space
from distill_tune.data.dataset import open_test
from distill_tune.evaluation import metrics
from distill_tune.evaluation.bootstrap import bootstrap_difference
from distill_tune.evaluation.calibration import fitted_temperature
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.evaluation.significance import holm
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status
from distill_tune.tuning.verdict import summary
from distill_tune.tuning.verdict.candidate import Candidate, baselines_of
from distill_tune.tuning.verdict.confirmation_pool import ConfirmationPool
from distill_tune.tuning.verdict.confirmation_worker import WorkerContext
from distill_tune.tuning.verdict.examination import examine, load_student
from distill_tune.tuning.verdict.verdicts import verdict_of, verdicts_of

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def trained(
    a_ray: None, winner: Candidate, small_space: Space, preparation: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Candidate], Ledger]:
    ledger, context = Ledger(), WorkerContext(small_space.config.resources, tmp_path_factory.mktemp("confirmed"))
    with ConfirmationPool(2, context, preparation.prepared, ledger, Budget(6)) as pool:
        pool.train([winner])
        baselines = baselines_of(winner)
        pool.train(baselines)
    return [winner, *baselines], ledger


def test_every_candidate_is_trained_to_the_end_in_every_seed(trained: tuple[list[Candidate], Ledger]) -> None:
    candidates, ledger = trained
    assert ledger.count(Status.COMPLETED) == ledger.count() == 6
    for candidate in candidates:
        assert set(candidate.weights) == set(candidate.reports) == set(candidate.seeds)
        assert all(report["epoch"] == 9 for report in candidate.reports.values())
        assert all(path.stat().st_size > 0 for path in candidate.weights.values())
    names = {"trial-0007", "no_teacher-of-0007", "default_distillation-of-0007"}
    assert {record.group for record in ledger.records.values()} == {f"confirm-{n}-seeds-1000" for n in names}


def test_the_examination_agrees_with_the_students_that_were_trained(
    trained: tuple[list[Candidate], Ledger], preparation: Any
) -> None:
    (candidates, _), data = trained, preparation.dataset
    found, test = examine(candidates, preparation.teacher, data), open_test(data)
    for candidate in candidates:
        examined = found.by_candidate[candidate.name]
        students = [load_student(candidate.config, data, candidate.weights[seed]) for seed in candidate.seeds]
        correct = [metrics.correct(predict_logits(student, test.inputs), test.labels) for student in students]
        assert np.array_equal(examined.correct, correct)
        assert examined.accuracy.mean == pytest.approx(np.mean(correct))
        assert examined.corrupted_accuracy == pytest.approx(np.mean(list(examined.by_corruption.values())))
        assert 0 <= examined.worst_class_accuracy <= examined.accuracy.mean
        assert examined.scaling_temperature > 0


def test_logits_are_scaled_by_what_was_fitted_on_validation(
    trained: tuple[list[Candidate], Ledger], preparation: Any
) -> None:
    """Recomputed by hand for one configuration, seed by seed."""
    candidate, data = trained[0][0], preparation.dataset
    examined = examine([candidate], preparation.teacher, data).by_candidate[candidate.name]
    validation, test = data.split("validation"), open_test(data)
    nlls, eces, temperatures = [], [], []
    for seed in candidate.seeds:
        student = load_student(candidate.config, data, candidate.weights[seed])
        temperatures.append(fitted_temperature(predict_logits(student, validation.inputs), validation.labels))
        scaled = predict_logits(student, test.inputs) / temperatures[-1]
        nlls.append(metrics.nll(scaled, test.labels))
        eces.append(metrics.ece(scaled, test.labels))
    assert examined.scaling_temperature == pytest.approx(np.mean(temperatures))
    assert (examined.nll_scaled, examined.ece_scaled) == pytest.approx((np.mean(nlls), np.mean(eces)))


def test_the_verdict_pairs_seeds_and_samples(trained: tuple[list[Candidate], Ledger], preparation: Any) -> None:
    candidates, _ = trained
    found = examine(candidates, preparation.teacher, preparation.dataset)
    inputs = open_test(preparation.dataset).inputs
    distinct = np.unique(inputs.reshape(len(inputs), -1), axis=0, return_inverse=True)[1]
    assert found.groups is not None
    assert len(np.unique(np.stack([found.groups, distinct.ravel()]), axis=1).T) == found.groups.max() + 1
    assert found.groups.max() == distinct.max()
    verdict = verdict_of(candidates[0], "no_teacher", found)
    ours, other = (found.by_candidate[name].correct for name in ("trial-0007", "no_teacher"))
    assert verdict["difference"] == pytest.approx(ours.mean() - other.mean())
    assert verdict["low"] < verdict["difference"] < verdict["high"]
    drawn = bootstrap_difference(ours, other, groups=found.groups)
    assert (verdict["bootstrap_low"], verdict["bootstrap_high"]) == (drawn.low, drawn.high)
    itself = verdict_of(candidates[0], "trial-0007", found)
    assert (itself["word"], itself["difference"]) == ("INCONCLUSIVE", 0.0)
    assert itself["p_value"] == itself["interval_p_value"] == 1.0
    assert (verdict["interval_p_value"] < 0.05) == (verdict["word"] != "INCONCLUSIVE")


def test_verdicts_are_corrected_for_how_many_there_are(
    trained: tuple[list[Candidate], Ledger], preparation: Any
) -> None:
    candidates, _ = trained
    names = [candidate.name for candidate in candidates[1:]]
    found = examine(candidates, preparation.teacher, preparation.dataset)
    verdicts = verdicts_of(candidates[0], names, found)
    assert list(verdicts) == names
    for key in ("p_value", "interval_p_value"):
        corrected = {name: each[f"{key}_holm"] for name, each in verdicts.items()}
        assert corrected == holm({name: each[key] for name, each in verdicts.items()})
    for name in names:
        alone = {key: value for key, value in verdicts[name].items() if not key.endswith("_holm") and key != "same_as"}
        assert alone == verdict_of(candidates[0], name, found)
    assert verdicts_of(candidates[0], [], found) == {}


def test_selection_bias_is_what_the_search_promised_beyond_what_was_confirmed(
    trained: tuple[list[Candidate], Ledger],
) -> None:
    winner = trained[0][0]
    for objective, sign, bias in [
        ("val/accuracy", 1, 0.9 - winner.mean("val/accuracy")),
        ("val/loss", -1, winner.mean("val/loss") - 0.3),
    ]:
        found = summary.selection_bias(winner, objective, sign)
        assert found == {"selection_bias": pytest.approx(bias), "selection_bias_epochs": 9}


def test_what_a_winner_was_after_fewer_epochs_is_that_of_its_trainings_then(
    trained: tuple[list[Candidate], Ledger],
) -> None:
    (winner, *_), ledger = trained
    records = [ledger.records[winner.run_name(seed)] for seed in winner.seeds]
    accuracies = [record.reports[2]["val/accuracy"] for record in records]
    assert winner.mean_after(3, "val/accuracy") == pytest.approx(np.mean(accuracies))


def test_test_samples_with_equal_inputs_are_known_and_widen_the_intervals(
    trained: tuple[list[Candidate], Ledger], preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if each test sample occurred four times."""
    (candidate, *_), test = trained[0], open_test(preparation.dataset)
    four = type(test)(**{name: np.concatenate([value] * 4) for name, value in vars(test).items()})
    monkeypatch.setattr("distill_tune.tuning.verdict.examination.open_test", lambda dataset: four)
    found, once = (examine([candidate], preparation.teacher, preparation.dataset) for _ in range(2))
    assert found.groups is not None
    assert np.bincount(found.groups).min() >= 4
    assert found.by_candidate[candidate.name].accuracy == once.by_candidate[candidate.name].accuracy
    monkeypatch.undo()
    alone = examine([candidate], preparation.teacher, preparation.dataset).by_candidate[candidate.name].accuracy
    again = found.by_candidate[candidate.name].accuracy
    assert (again.low, again.high) == pytest.approx((alone.low, alone.high), abs=1e-6)
