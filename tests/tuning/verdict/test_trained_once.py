"""Identical trainings run once: a baseline equal to the winner of the search without a teacher, say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small import TABLES, VALUES

from distill_tune.config import Space
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.evaluation.corrupted import corrupted_accuracies
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.planning.without_teacher import space_without_teacher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict import examination
from distill_tune.tuning.verdict.candidate import Candidate, baselines_of
from distill_tune.tuning.verdict.confirmation_pool import ConfirmationPool
from distill_tune.tuning.verdict.confirmation_runs import WEIGHTS, ConfirmationRuns
from distill_tune.tuning.verdict.confirmation_worker import WorkerContext
from distill_tune.tuning.verdict.examination import examine
from distill_tune.tuning.verdict.training import Training, told_apart
from distill_tune.tuning.workers.files import HERE
from distill_tune.tuning.workers.keeping import fold_weights
from distill_tune.weights import write_weights

SEARCHED = {"confirm": {"baseline_search": True, "top": 1}, "search": {**TABLES["search"], "patience": 5}}
OTHERWISE: dict[str, Any] = {
    "student.mlp.widths": [12],
    "loss.temperature": 3.0,
    "optim.learning_rate": 0.01,
}


def candidate(name: str = "trial-0007", seeds: tuple[int, ...] = (1000, 1001), **values: Any) -> Candidate:
    values = {**VALUES, **values}
    return Candidate(name, Space.parse(TABLES).at(values), [*seeds], TrialRecord(7, "0007", values))


def trainings(*candidates: Candidate) -> list[Training]:
    return [Training(each, seed, 2) for each in candidates for seed in each.seeds]


def test_a_baseline_is_like_the_winner_of_the_search_beside_if_that_found_the_same_student() -> None:
    """Though the searches' configs differ in how long they search, and what they confirm."""
    space = Space.parse({**TABLES, **SEARCHED})
    bare = space_without_teacher(space)
    found = {name: value for name, value in VALUES.items() if not name.startswith("loss.")}
    winner = Candidate("trial-0007", space.at(VALUES), [5, 6], TrialRecord(7, "0007", VALUES))
    values = bare.middle() | found
    assert values["loss.kind"] == "labels"
    rival = Candidate("searched_no_teacher-0003", bare.at(values), [5, 6], TrialRecord(3, "0003", values))
    assert rival.config != winner.config
    asked, alike = told_apart(trainings(winner, *baselines_of(winner)), trainings(rival))
    assert [(one.name, other.name) for one, other in alike] == [
        (f"confirm-no_teacher-seed{seed}", f"confirm-searched_no_teacher-0003-seed{seed}") for seed in (5, 6)
    ]
    assert len(asked) == 4


@pytest.mark.parametrize(("name", "value"), OTHERWISE.items(), ids=OTHERWISE)
def test_what_differs_in_one_value_is_trained_apart(name: str, value: Any) -> None:
    asked, alike = told_apart(trainings(candidate(), candidate("trial-0008", **{name: value})))
    assert (len(asked), alike) == (4, [])


def test_other_seeds_are_other_trainings() -> None:
    asked, alike = told_apart(trainings(candidate(), candidate("trial-0008", (1001, 1002))))
    assert [training.seed for training in asked] == [1000, 1001, 1002]
    assert [(one.name, other.name) for one, other in alike] == [
        ("confirm-trial-0008-seed1001", "confirm-trial-0007-seed1001")
    ]


def test_of_what_is_left_to_a_later_session_nothing_is_entered(tmp_path: Path) -> None:
    ledger = Ledger()
    runs = ConfirmationRuns(ledger, {}, tmp_path, Prepared(tmp_path, None), HERE)
    runs.repeat(*trainings(candidate("no_teacher", (1000,)), candidate(seeds=(1000,))))
    assert not ledger.records


def test_what_is_like_one_that_has_failed_has_failed_as_it_did(tmp_path: Path) -> None:
    ledger = Ledger()
    runs = ConfirmationRuns(ledger, {}, tmp_path, Prepared(tmp_path, None), HERE)
    training, like = trainings(candidate("no_teacher", (1000,)), candidate(seeds=(1000,)))
    runs.fail(runs.take(like).record, "the loss is nan")
    runs.repeat(training, like)
    assert [record.message for record in ledger.with_status(Status.FAILED)] == ["the loss is nan"] * 2
    assert training.candidate.reports == {}


def test_the_students_of_all_folds_are_taken_over_too(tmp_path: Path) -> None:
    """So that a later session finds them like those of any training."""
    space = Space.parse({**TABLES, "data": {**TABLES["data"], "folds": 2}})
    one, twin = (Candidate(name, space.at(VALUES), [1000], TrialRecord(7, "0007", VALUES)) for name in ("one", "twin"))
    weights = tmp_path / WEIGHTS / f"{one.run_name(1000)}.safetensors"
    for number, path in enumerate([weights, fold_weights(weights, 0), fold_weights(weights, 1)]):
        write_weights(path, {"weight": torch.full((8,), float(number))})
    report = {"epoch": 9.0, "val/accuracy": 0.5}
    known = {one.run_name(1000): TrialRecord(-1, one.run_name(1000), VALUES, status=Status.COMPLETED, reports=[report])}
    ledger = Ledger()
    runs = ConfirmationRuns(ledger, known, tmp_path, Prepared(tmp_path, None), HERE)
    assert runs.is_known(one, 1000)
    runs.repeat(*trainings(twin, one))
    assert twin.reports == one.reports
    later = replace(twin, weights={}, reports={}, curves={})
    assert ConfirmationRuns(Ledger(), ledger.records, tmp_path, Prepared(tmp_path, None), HERE).is_known(later, 1000)
    copied = [twin.weights[1000], *(fold_weights(twin.weights[1000], number) for number in (0, 1))]
    assert [load_file(path)["weight"][0].item() for path in copied] == [0.0, 1.0, 2.0]


@pytest.mark.ray
@pytest.mark.timeout(120)
def test_what_is_alike_is_trained_once_and_examined_once(
    a_ray: None,
    winner: Candidate,
    small_space: Space,
    preparation: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, ledger = list[str](), Ledger()
    ledger.say = said.append
    first, twin = winner.again(winner.seeds), replace(winner.again(winner.seeds), name="twin")
    late = replace(winner.again(winner.seeds), name="late")
    context = WorkerContext(small_space.config.resources, tmp_path)
    with ConfirmationPool(2, context, preparation.prepared, ledger, Budget(6)) as pool:
        pool.train([first, twin])
        pool.train([late])
    assert said == [
        f"{name} is trial-0007 with the same settings and seeds, so both are trained once" for name in ("twin", "late")
    ]
    assert ledger.count(Status.COMPLETED) == ledger.count() == 6
    for each in (twin, late):
        assert each.curves == first.curves, "to the time that an epoch took"
        assert {seed: path.read_bytes() for seed, path in each.weights.items()} == {
            seed: path.read_bytes() for seed, path in first.weights.items()
        }
        assert not {*each.weights.values()} & {*first.weights.values()}

    def counted(students: list[Any], *rest: Any, **options: Any) -> Any:
        asked.append(len(students))
        return corrupted_accuracies(students, *rest, **options)

    asked = list[int]()
    monkeypatch.setattr(examination, "corrupted_accuracies", counted)
    found = examine([first, twin, late], preparation.teacher, preparation.dataset).by_candidate
    assert asked == [2], "both seeds of one of them"
    assert found["twin"] is found["late"] is found["trial-0007"]
