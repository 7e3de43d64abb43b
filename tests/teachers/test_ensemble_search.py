"""A searched mix of teachers: which take part, with which weights, and what is reported at the end."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from ensembles import BIG, SMALL, Ready, space_of
from optuna import create_study
from optuna.samplers import RandomSampler
from runs import run_space

from distill_tune.config import Space, tables_of
from distill_tune.data.dataset import open_test
from distill_tune.distillation.cache.labelling import label_inputs
from distill_tune.search import main
from distill_tune.teachers.mixing import Mix
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate, baselines_of
from distill_tune.tuning.verdict.examination import examine
from distill_tune.tuning.verdict.teacher_summary import teacher_of

SEARCHED = {
    "use": {"choice": ["big", "small", ["big", "small"]]},
    "weights": {"big": {"uniform": [0.1, 1.0]}},
}


def test_who_takes_part_is_a_dimension_and_a_weight_exists_only_in_a_mix() -> None:
    space, study = space_of(**SEARCHED), create_study(sampler=RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        values = space.suggest(study.ask())
        config = space.at(values)
        mix = config.teacher.chosen("source").mix()
        used = values["teacher.ensemble.use"]
        assert list(mix.weights) == ([used] if isinstance(used, str) else used)
        assert ("teacher.ensemble.weights.big" in values) == (len(mix.weights) > 1)
        if len(mix.weights) > 1:
            weight = values["teacher.ensemble.weights.big"]
            assert mix.weights["big"] == pytest.approx(weight / (weight + 1))
        assert Space.parse(tables_of(config)).config.teacher.chosen("source").mix() == mix
        seen.add(str(used))
    assert len(seen) == 3


def test_a_weight_of_the_only_member_is_not_sampled(tmp_path: Path) -> None:
    space = space_of(members={"big": BIG}, weights={"big": {"uniform": [0.1, 1.0]}})
    assert space.suggest(create_study().ask()) == {}
    assert space.at({}).teacher.chosen("source").mix() == Mix({"big": 1.0}, "logits")


def test_a_trial_without_a_teacher_has_no_mix() -> None:
    base = {**run_space().tables, "loss": {"kind": ["labels", "soft_targets"]}}
    space, study = space_of(base=base, **SEARCHED), create_study(sampler=RandomSampler(seed=0))
    for _ in range(20):
        values = space.suggest(study.ask())
        assert ("teacher.ensemble.use" in values) == (values["loss.kind"] == "soft_targets")


def test_baselines_have_what_the_file_says_and_not_the_mix_that_was_found() -> None:
    weights = {"big": {"uniform": [0.1, 1.0]}, "small": 2.0}
    space = space_of(average="probabilities", weights=weights, use=SEARCHED["use"])
    values = {"teacher.ensemble.use": ["small", "big"], "teacher.ensemble.weights.big": 0.5}
    winner = Candidate("trial-0", space.at(values), [1, 2], TrialRecord(0, "0000", values))
    for baseline in baselines_of(winner):
        mix = baseline.config.teacher.chosen("source").mix()
        assert mix == Mix({"big": 1 / 3, "small": 2 / 3}, "probabilities")
        assert baseline.changes.items() >= dict.fromkeys(values).items()


@pytest.mark.parametrize(
    "values", [{"loss.kind": "soft_targets", "teacher.ensemble.use": "big"}, {"loss.kind": "labels"}]
)
def test_baselines_have_the_mix_of_the_file_where_the_winner_sampled_no_weight(values: dict[str, Any]) -> None:
    base = {**run_space().tables, "loss": {"kind": ["labels", "soft_targets"]}}
    space = space_of(base=base, weights={"small": {"log": [0.2, 5.0]}}, use=SEARCHED["use"])
    winner = Candidate("trial-0", space.at(values), [1, 2], TrialRecord(0, "0000", values))
    assert winner.config.teacher.chosen("source").weights == {}  # from a corner, which nobody sampled
    for baseline in baselines_of(winner):
        assert baseline.config.teacher.chosen("source").mix() == Mix({"big": 0.5, "small": 0.5}, "logits")


def test_the_summary_tells_the_winners_mix_and_each_member(ready: Ready) -> None:
    space = space_of(weights={"big": {"uniform": [1.0, 9.0]}})
    _, preparation = ready(space)
    dataset = preparation.dataset
    config = space.at({"teacher.ensemble.weights.big": 9.0})
    teacher = preparation.teacher.mixed(config.teacher.chosen("source").mix())
    told = teacher_of(teacher, examine_nobody(teacher, dataset), dataset.input_shape)
    test = open_test(dataset)
    logits = {name: label_inputs(each, test.inputs, test.index) for name, each in teacher.members.items()}
    right = {name: float((each.argmax(1) == test.labels).mean()) for name, each in logits.items()}
    mixed = float(((0.9 * logits["big"] + 0.1 * logits["small"]).argmax(1) == test.labels).mean())
    assert told["test"]["accuracy"] == pytest.approx(mixed)
    assert {name: each["test"]["accuracy"] for name, each in told["members"].items()} == pytest.approx(right)
    assert {name: each["weight"] for name, each in told["members"].items()} == pytest.approx({"big": 0.9, "small": 0.1})
    costs = {name: (each["parameters"], each["multiply_adds"]) for name, each in told["members"].items()}
    assert costs == {"big": (8 * 24 + 24 + 24 * 4 + 4, 8 * 24 + 24 * 4), "small": (8 * 6 + 6 + 6 * 4 + 4, 12 * 6)}
    assert (told["parameters"], told["multiply_adds"]) == tuple(map(sum, zip(*costs.values(), strict=True)))
    assert told["members"]["big"]["training"]["precision"] == "float32"


def examine_nobody(teacher: Any, dataset: Any) -> Any:
    return examine([], teacher, dataset)


def test_a_dry_run_lists_the_weight_of_a_mix_that_no_trial_makes_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = {"big": BIG, "small": SMALL}
    weights = {"big": {"log": [0.2, 5.0]}}
    ensemble = {"members": members, "use": {"choice": ["big", "small"]}, "weights": weights}
    tables = {**run_space().tables, "teacher": {"source": "ensemble", "ensemble": ensemble}}
    (tmp_path / "space.toml").write_text(tomli_w.dumps(tables))
    assert main([str(tmp_path / "space.toml"), "--storage", str(tmp_path), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "  teacher.ensemble.use: one of big, small\n" in said
    assert "  in no trial, as the space is: teacher.ensemble.weights.big\n" in said
    assert "teacher.ensemble.weights.big: numbers" not in said
