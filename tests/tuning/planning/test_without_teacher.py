"""The search without a teacher: its space, what it may use, and how its best trials are compared."""

import tomllib
from pathlib import Path
from typing import Any

import optuna
import pytest

from distill_tune.config import Space, load_space
from distill_tune.config.searching import SearchConfig
from distill_tune.config.writing import as_toml
from distill_tune.errors import ConfigError
from distill_tune.registry import INITIALISATIONS, LOSSES
from distill_tune.tuning.planning.fitting import known_to_fit
from distill_tune.tuning.planning.time_budget import Times, affordable_epochs, plan_confirmation
from distill_tune.tuning.planning.without_teacher import space_without_teacher
from distill_tune.tuning.state.plan import ConfirmationPlan
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import SEARCHED_NO_TEACHER, Candidate, candidates_of
from distill_tune.tuning.verdict.confirmation import confirm
from distill_tune.tuning.verdict.remarks import left_out_in_words

SHIPPED = sorted(Path("search_spaces").glob("*.toml"))
TABLES: dict[str, Any] = {
    "data": {"source": "blobs"},
    "student": {
        "family": "mlp",
        "init": ["inherit", "gaussian", "default"],
        "gaussian": {"std": {"log": [1e-3, 1.0]}},
        "mlp": {"widths": {"choice": [[8], [12]]}},
    },
    "loss": {
        "kind": ["dkd", "labels"],
        "temperature": {"log": [1.0, 8.0]},
        "dkd": {"target_weight": {"uniform": [1.0, 8.0]}},
    },
    "regularization": {"norm_ratio": {"uniform": [0.5, 2.0]}},
    "search": {"max_epochs": 9, "target": 0.9, "patience": 7, "start_with": [{"loss.temperature": 2.0}]},
    "confirm": {"baseline_search": True},
}


def space_with(**sections: dict[str, Any]) -> Space:
    return Space.parse({name: TABLES.get(name, {}) | sections.get(name, {}) for name in TABLES | sections})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_student_of_any_shipped_space_has_anything_of_a_teacher(path: Path) -> None:
    space = space_without_teacher(load_space(path, []))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    kinds = set()
    for _ in range(30):
        config = space.at(space.suggest(study.ask()))
        kinds.add(config.loss.kind)
        assert not LOSSES.get(config.loss.kind).uses_teacher
        assert not INITIALISATIONS.get(config.student.init).needs_teacher
        assert config.regularization.norm_ratio is None
    assert kinds == {"labels", "label_smoothing"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_everything_else_of_a_space_is_as_it_was(path: Path) -> None:
    whole = load_space(path, [])
    bare = space_without_teacher(whole)
    for section in ("data", "limits", "optim", "augmentation", "resources"):
        assert bare.tables.get(section) == whole.tables.get(section)
        assert {p: r for p, r in bare.ranges.items() if p[0] == section} == {
            p: r for p, r in whole.ranges.items() if p[0] == section
        }
    assert {family: bare.ranges_of(family) for family in bare.families} == {
        family: whole.ranges_of(family) for family in whole.families
    }
    assert Space.parse(tomllib.loads(as_toml(bare))) == bare


def test_what_hangs_on_the_teacher_goes_and_its_search_has_no_other_beside_it() -> None:
    bare = space_without_teacher(space_with())
    assert {".".join(path) for path in bare.ranges} == {
        *("student.init", "student.gaussian.std", "student.mlp.widths"),
        *("loss.kind", "loss.label_smoothing.smoothing"),
    }
    assert bare.inits == ["gaussian", "default"]
    search = bare.config.search
    assert (search.target, search.patience, search.start_with) == (None, None, [])
    assert not bare.config.confirm.baseline_search


def test_a_smoothing_that_the_space_has_is_kept() -> None:
    loss = {"kind": ["soft_targets", "label_smoothing"], "label_smoothing": {"smoothing": {"uniform": [0.0, 0.5]}}}
    bare = space_without_teacher(Space.parse({**TABLES, "loss": loss, "search": {}}))
    assert str(bare.ranges["loss", "label_smoothing", "smoothing"]) == "{ uniform = [0.0, 0.5] }"


def test_a_sampler_that_cannot_sample_the_space_without_a_teacher_is_refused_beforehand(preparation: Any) -> None:
    pytest.importorskip("cmaes")
    tables: dict[str, Any] = {
        "data": {"source": "blobs"},
        "student": {"family": "mlp", "mlp": {"widths": {"choice": [[8], [12]]}}},
        "loss": {"temperature": {"log": [1.0, 8.0]}},  # the only numeric range
        "search": {"sampler": "cmaes"},
    }
    known_to_fit(Space.parse(tables), preparation.dataset)
    with pytest.raises(ConfigError, match="'cmaes' needs ranges of numbers"):
        known_to_fit(Space.parse({**tables, "confirm": {"baseline_search": True}}), preparation.dataset)


def test_two_searches_have_the_time_of_one_between_them() -> None:
    search = SearchConfig(time="90s")
    one, each = Times.of(search), Times.of(search, 2)
    assert each == Times.of(search.model_copy(update={"time": "9h"}), 2, ended_with=search.time)
    assert one.search_s is not None
    assert each.search_s == pytest.approx(one.search_s / 2)
    assert each.total_s == one.total_s


def test_the_plan_pays_for_the_best_of_both_searches() -> None:
    config = space_with().config
    assert plan_confirmation(config, [1.0] * 10, None, 1).num_runs == (3 + 3 + 2 + 2) * 5
    assert plan_confirmation(config, [1.0] * 10, 0.0, 1) == ConfirmationPlan(1, 2, 2)
    alone = space_with(confirm={"baseline_search": False}).config
    assert affordable_epochs(config, 1.0, 120.0, 1) < affordable_epochs(alone, 1.0, 120.0, 1)


def candidates(space: Space, accuracies: list[float]) -> tuple[list[TrialRecord], dict[str, float]]:
    records = [TrialRecord(i, f"{i:04d}", {"student.mlp.widths": [8]}) for i in range(len(accuracies))]
    return records, {record.trial_id: accuracy for record, accuracy in zip(records, accuracies, strict=True)}


@pytest.mark.parametrize(("accuracies", "best"), [([0.7, 0.9], 1), ([0.8, 0.6], 0)])
def test_the_best_of_the_baseline_search_by_its_mean_becomes_a_baseline(accuracies: list[float], best: int) -> None:
    space = space_with()
    bare = space_without_teacher(space)
    records, values = candidates(bare, accuracies)
    winner = Candidate("trial-0003", space.config, [5, 6], TrialRecord(3, "0003", {}))
    trained = []

    def train(some: list[Candidate]) -> None:
        for candidate in some:
            trained.append(candidate.name)
            accuracy = values[candidate.source.trial_id] if "searched" in candidate.name else 0.5
            candidate.reports = {seed: {"val/accuracy": accuracy, "val/loss": 1.0} for seed in candidate.seeds}

    rivals = candidates_of(bare, records, [5, 6], SEARCHED_NO_TEACHER)
    found = confirm([winner], train, "val/accuracy", rivals)
    assert found is not None
    assert [b.name for b in found.baselines] == ["no_teacher", "default_distillation", "searched_no_teacher"]
    searched = found.baselines[-1]
    assert (searched.source.number, searched.seeds, searched.mean("val/accuracy")) == (best, [5, 6], accuracies[best])
    assert found.winner is winner
    assert len(set(trained)) == len(trained) == 5


def test_without_a_usable_rival_there_are_the_two_baselines() -> None:
    winner = Candidate("trial-0003", space_with().config, [5, 6], TrialRecord(3, "0003", {}))

    def train(some: list[Candidate]) -> None:
        for candidate in some:
            if "searched" not in candidate.name:
                candidate.reports = {seed: {"val/accuracy": 0.5, "val/loss": 1.0} for seed in candidate.seeds}

    bare = space_without_teacher(space_with())
    rivals = candidates_of(bare, candidates(bare, [0.5])[0], [5, 6], SEARCHED_NO_TEACHER)
    found = confirm([winner], train, "val/accuracy", rivals)
    assert found is not None
    assert [baseline.name for baseline in found.baselines] == ["no_teacher", "default_distillation"]


def test_a_baseline_that_shares_one_seed_with_the_winner_is_not_compared_with_it_and_that_is_said() -> None:
    """Both finished in two seeds, but a difference is paired over the shared ones."""
    winner = Candidate("trial-0003", space_with().config, [5, 6, 7], TrialRecord(3, "0003", {}))

    def train(some: list[Candidate]) -> None:
        for candidate in some:
            seeds = candidate.seeds[1:] if candidate.name == "no_teacher" else candidate.seeds[:2]
            candidate.reports = {seed: {"val/accuracy": 0.5, "val/loss": 1.0} for seed in seeds}

    found = confirm([winner], train, "val/accuracy")
    assert found is not None
    assert [baseline.name for baseline in found.baselines] == ["default_distillation"]
    assert left_out_in_words(found) == [
        "warning: no_teacher is left out of the comparison: an interval needs two seeds that it and the winner were "
        "both trained in, and there is 1"
    ]


def test_a_space_without_any_teacher_has_no_other_beside_it() -> None:
    with pytest.raises(ConfigError, match="no loss of the space \\(labels, label_smoothing\\) has a teacher"):
        space_without_teacher(Space.parse({**TABLES, "loss": {"kind": ["labels", "label_smoothing"]}}))
    assert space_without_teacher(Space.parse({**TABLES, "loss": {"kind": "labels", "also": {"hint": 1.0}}}))
