"""What a search begins with: the middle of its ranges, the largest allowed student, or what others learnt."""

from pathlib import Path
from typing import Any

import pytest
from fitted_spaces import fitted, space_with

from distill_tune.config.space import USE
from distill_tune.data import prepare_data
from distill_tune.export.result_folder import write_search_toml
from distill_tune.tuning.planning.estimate import _middles
from distill_tune.tuning.planning.first_to_try import first_to_try
from distill_tune.tuning.planning.fitting import known_to_fit
from distill_tune.tuning.planning.limits import NO_EXCESS, Limits
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.state.logbook import JOURNAL


def test_the_first_to_be_tried_is_the_middle_of_every_range(preparation: Any) -> None:
    found, _ = fitted(preparation, student={"mlp": {"width": {"log_int": [4, 64]}}})
    assert found.first_settings == [found.space.middle()]
    assert found.first_settings[0]["student.mlp.width"] == 16


@pytest.mark.parametrize(("most", "width"), [(10_000, 64), (None, 16), (400, 11)])
def test_under_limits_it_begins_with_the_largest_student_that_they_allow(
    preparation: Any, most: int | None, width: int
) -> None:
    limits = {} if most is None else {"max_parameters": most}
    found, _ = fitted(preparation, student={"mlp": {"width": {"log_int": [4, 64]}}}, limits=limits)
    (first,) = found.first_settings
    assert first == found.space.middle() | {"student.mlp.width": width}
    assert found.limits.excess(found.space.at(first)) is NO_EXCESS


def test_what_all_ranges_together_leave_of_a_limit_is_used_by_each_in_its_turn(preparation: Any) -> None:
    mlp = {"width": {"choice": [4, 8, 64]}, "depth": {"int": [1, 3]}}
    found, _ = fitted(preparation, student={"mlp": mlp}, limits={"max_parameters": 300})
    (first,) = found.first_settings

    def fits(width: int, depth: int) -> bool:
        values = first | {"student.mlp.width": width, "student.mlp.depth": depth}
        return found.limits.excess(found.space.at(values)) is NO_EXCESS

    assert (first["student.mlp.width"], first["student.mlp.depth"]) == (8, 3)
    assert fits(8, 3)
    assert not fits(64, 1)


def test_what_costs_nothing_stays_in_its_middle_under_limits(preparation: Any) -> None:
    mlp = {"width": {"log_int": [4, 64]}, "dropout": {"uniform": [0.0, 0.5]}}
    found, _ = fitted(preparation, student={"mlp": mlp}, limits={"max_parameters": 400})
    (first,) = found.first_settings
    assert (first["student.mlp.width"], first["student.mlp.dropout"]) == (11, 0.25)


@pytest.mark.parametrize(("most", "is_the_middle"), [(400, False), (10_000, True)])
def test_what_an_epoch_takes_is_timed_of_a_student_that_the_limits_allow(
    preparation: Any, most: int, is_the_middle: bool
) -> None:
    """Else a time budget would be planned for far slower students, which are never trained."""
    student = {"mlp": {"width": {"log_int": [4, 1024]}}}
    found, _ = fitted(preparation, student=student, limits={"max_parameters": most})
    ((timed, _),) = _middles(found.space, preparation.dataset)
    assert timed == found.space.at(found.space.middle() if is_the_middle else found.first_settings[0])


NARROW = {"family": ["mlp", "resnet"], "mlp": {"width": {"int": [4, 8]}}}


def test_a_family_that_no_limit_admits_is_neither_timed_nor_passed_over_in_silence(preparation: Any) -> None:
    """Else a student that is never trained would cut the epochs of all others."""
    found, said = fitted(preparation, student=NARROW, limits={"max_parameters": 200})
    assert [config.student.family for config, _ in _middles(found.space, preparation.dataset)] == ["mlp"]
    (cost,) = {found.limits.cost(found.space.at({"student.family": "resnet"})).parameters}
    assert said == [
        f"warning: student.family: 'resnet' is never trained, for the smallest student found of it is over "
        f"max_parameters 200 ({cost:,}); loosen the limit, widen its ranges, or leave it out"
    ]
    found, said = fitted(preparation, student=NARROW, limits={"max_parameters": cost})
    assert [config.student.family for config, _ in _middles(found.space, preparation.dataset)] == ["mlp", "resnet"]
    assert said == []


def test_where_limits_admit_no_family_each_is_timed(preparation: Any) -> None:
    """As in a search that goes on where all students have become too slow."""
    space = space_with(student=NARROW, limits={"max_parameters": 20})
    assert [config.student.family for config, _ in _middles(space, preparation.dataset)] == ["mlp", "resnet"]


def test_a_family_whose_first_name_is_too_large_is_timed_with_another(image_space: Any, tmp_path: Path) -> None:
    convnet = {"width": 8, "depth": 2, "norm": {"choice": ["batch", "none"]}}
    student = {"family": ["mlp", "convnet"], "mlp": {"widths": [4]}, "convnet": convnet}
    space = image_space(student=student)
    dataset = prepare_data(space.config.data, tmp_path)
    plain = Limits(space.config.limits, dataset).cost(
        space.at({"student.family": "convnet", "student.convnet.norm": "none"})
    )
    space = image_space(student=student, limits={"max_parameters": plain.parameters})
    timed = {config.student.family: config for config, _ in _middles(space, dataset)}
    assert timed["convnet"].student.tables["convnet"]["norm"] == "none"


def test_where_small_students_are_an_objective_it_begins_in_the_middle(preparation: Any) -> None:
    search = {"objectives": ["val/accuracy", "parameters"]}
    student, limits = {"mlp": {"width": {"log_int": [4, 64]}}}, {"max_parameters": 10_000}
    found, _ = fitted(preparation, student=student, limits=limits, search=search)
    assert found.first_settings == [found.space.middle()]


def test_each_student_family_is_begun_with(preparation: Any) -> None:
    families = {
        "family": ["resnet", "mlp"],
        "mlp": {"width": {"log_int": [4, 64]}},
        "resnet": {"width": {"int": [2, 9]}},
    }
    found, _ = fitted(preparation, student=families, limits={"max_parameters": 10_000})
    assert [values["student.family"] for values in found.first_settings] == ["resnet", "mlp"]
    assert ["student.mlp.width" in values for values in found.first_settings] == [False, True]


def test_each_loss_and_optimizer_is_tried_once_with_all_else_in_the_middle(preparation: Any) -> None:
    named = {
        "student": {"family": ["resnet", "mlp"], "resnet": {"width": {"int": [2, 9]}}},
        "loss": {"kind": ["soft_targets", "dist", "labels"], "dist": {"intra_weight": {"log": [0.5, 4.0]}}},
        "optim": {"kind": ["adamw", "sgd"]},
    }
    found, _ = fitted(preparation, **named, limits={"max_parameters": 10_000})
    names = ("student.family", "loss.kind", "optim.kind")
    assert [tuple(values[name] for name in names) for values in found.first_settings] == [
        ("resnet", "soft_targets", "adamw"),
        ("mlp", "soft_targets", "adamw"),
        ("resnet", "dist", "adamw"),
        ("resnet", "labels", "adamw"),
        ("resnet", "soft_targets", "sgd"),
    ]
    first, _, with_dist, with_labels, _ = found.first_settings
    assert with_dist == first | {"loss.kind": "dist", "loss.dist.intra_weight": pytest.approx(2**0.5)}
    assert with_labels == {
        name: value for name, value in first.items() if name not in ("loss.temperature", "loss.soft_weight")
    } | {"loss.kind": "labels"}


@pytest.mark.parametrize(
    ("families", "tried"),
    [
        (["mlp", "resnet"], [("mlp", "gelu"), ("resnet", None), ("mlp", "relu"), ("mlp", "silu")]),
        (["resnet", "mlp"], [("resnet", None), ("mlp", "gelu")]),
    ],
)
def test_so_is_each_name_of_another_choice_if_the_first_student_has_it(
    preparation: Any, families: list[str], tried: list[tuple[str, str | None]]
) -> None:
    mlp = {"widths": {"choice": [[8], [12]]}, "activation": {"choice": ["gelu", "relu", "silu"]}}
    found, _ = fitted(preparation, student={"family": families, "mlp": mlp, "resnet": {"width": {"int": [2, 9]}}})
    names = [(values["student.family"], values.get("student.mlp.activation")) for values in found.first_settings]
    assert names == tried


def test_with_a_name_that_makes_it_larger_a_student_is_again_the_largest_that_the_limits_allow(
    image_space: Any, tmp_path: Path
) -> None:
    """Else the name would be refused at that size, and not tried before the sampler knows of the others."""
    convnet = {"width": {"int": [4, 40]}, "depth": {"int": [1, 3]}, "norm": {"choice": ["none", "batch"]}}
    student = {"family": "convnet", "convnet": convnet}
    space = image_space(student=student, limits={"max_parameters": 3_500})
    limits = Limits(space.config.limits, prepare_data(space.config.data, tmp_path))
    plain, normed = first_to_try(space, limits)
    assert (plain["student.convnet.norm"], normed["student.convnet.norm"]) == ("none", "batch")
    assert limits.excess(space.at(plain | {"student.convnet.norm": "batch"})).share > 0
    assert [limits.excess(space.at(values)) for values in (plain, normed)] == [NO_EXCESS, NO_EXCESS]


def test_a_search_without_a_teacher_tries_each_loss_that_needs_none(preparation: Any) -> None:
    bare = fitted(preparation, confirm={"baseline_search": True})[0].without_teacher()
    assert [values["loss.kind"] for values in bare.first_settings] == bare.space.kinds
    assert bare.space.kinds[0] == "labels", "the first of them is trained to its end"
    assert len(bare.first_settings) == 2


def test_each_mix_of_teachers_is_tried(preparation: Any) -> None:
    widths = {"wide": [32], "deep": [8, 8]}
    members = {name: {"source": "train", "family": "mlp", "mlp": {"widths": own}} for name, own in widths.items()}
    mixes = {"choice": [["wide"], ["wide", "deep"], ["deep"]]}
    space = space_with(teacher={"source": "ensemble", "ensemble": {"members": members, "use": mixes}})
    assert [*space.others] == [(USE, ["wide"]), (USE, ["deep"])]
    limits = known_to_fit(space, preparation.dataset).limits
    tried = [values["teacher.ensemble.use"] for values in first_to_try(space, limits)]
    assert tried == [["wide", "deep"], ["wide"], ["deep"]]


def test_where_values_in_the_middle_break_a_rule_together_it_begins_with_those_that_are_written_first(
    preparation: Any,
) -> None:
    neither = {"target_weight": {"choice": [1.0, 0.0]}, "non_target_weight": {"choice": [0.5, 0.0]}}
    losing = {"kind": "dkd", "dkd": neither}
    found, _ = fitted(preparation, student={"mlp": {"width": {"log_int": [4, 64]}}}, loss=losing)
    (first,) = found.first_settings
    assert (first["loss.dkd.target_weight"], first["loss.dkd.non_target_weight"]) == (1.0, 0.5)
    assert (first["student.mlp.width"], first["loss.temperature"]) == (16, pytest.approx(8**0.5))


def test_where_those_of_another_name_break_a_rule_together_the_name_stays(preparation: Any) -> None:
    neither = {"target_weight": {"choice": [1.0, 0.0]}, "non_target_weight": {"choice": [0.5, 0.0]}}
    found, _ = fitted(preparation, loss={"kind": ["soft_targets", "dkd"], "dkd": neither})
    _, second = found.first_settings
    assert second["loss.kind"] == "dkd"
    assert (second["loss.dkd.target_weight"], second["loss.dkd.non_target_weight"]) == (1.0, 0.5)


def test_whoever_says_where_to_start_is_heard(preparation: Any) -> None:
    known = [{"optim.learning_rate": 0.01}]
    assert fitted(preparation, search={"start_with": known})[0].first_settings == known
    assert fitted(preparation, search={"start_with": []})[0].first_settings == []


def test_a_start_whose_student_is_over_the_limits_is_told_of(preparation: Any) -> None:
    student = {"family": ["mlp", "resnet"], "mlp": {"width": {"log_int": [4, 64]}}}
    large = {"student.family": "mlp", "student.mlp.width": 64}
    known = [{"student.mlp.width": 64}, large, {"student.family": "mlp", "student.mlp.width": 5}]
    limits = {"max_parameters": 400}
    _, said = fitted(preparation, student=student, limits=limits, search={"start_with": known})
    (line,) = (each for each in said if "its student is over" in each)
    assert line.startswith("warning: search.start_with[1]: its student is over max_parameters 400 (")
    assert line.endswith(") and not trained; make it smaller, or leave it out")
    _, said = fitted(preparation, student=student, search={"start_with": known})
    (line,) = (each for each in said if "start_with" in each)
    assert "depends on student.family" in line, "of the first, whatever the limits"


@pytest.fixture
def other(tmp_path: Path) -> str:
    """The folder of a search that has just begun."""
    write_search_toml(tmp_path, space_with(), "command")
    Study(tmp_path / JOURNAL, "other", space_with())
    return str(tmp_path)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_what_is_learnt_from_others_takes_the_place_of_the_middle(preparation: Any, other: str, sampler: str) -> None:
    found, said = fitted(preparation, search={"start_from": [other], "sampler": sampler, "trials": 20})
    assert (found.first_settings_beside(5), said) == ([], [])
    assert found.first_settings_beside(0) == [found.space.middle()], "where nothing could be learnt"


def test_whoever_says_where_to_start_is_heard_also_beside_what_is_learnt(preparation: Any, other: str) -> None:
    known = [{"optim.learning_rate": 0.01}]
    found, _ = fitted(preparation, search={"start_from": [other], "start_with": known, "trials": 20})
    assert found.first_settings_beside(5) == known


@pytest.mark.parametrize("sampler", ["random", "qmc", "cmaes", "nsgaii"])
def test_who_learns_nothing_from_others_begins_in_the_middle_and_that_is_said(
    preparation: Any, other: str, sampler: str
) -> None:
    found, said = fitted(preparation, search={"start_from": [other], "sampler": sampler, "trials": 99})
    assert found.first_settings == [found.space.middle()]
    assert said == [
        f"warning: search.start_from has no effect, since search.sampler = '{sampler}' learns nothing from other "
        "searches; use 'gp' or 'tpe'"
    ]


def test_who_knows_the_trials_of_others_learns_from_the_first_trial_on(preparation: Any, other: str) -> None:
    assert fitted(preparation, search={"start_from": [other], "sampler": "gp", "trials": 8})[1] == []


@pytest.mark.parametrize(("sampler", "at_random"), [("gp", 10), ("cmaes", 10), ("nsgaii", 50)])
def test_a_search_that_ends_before_its_sampler_learns_anything_is_told_so(
    preparation: Any, sampler: str, at_random: int
) -> None:
    for trials in (at_random, at_random + 1):
        _, said = fitted(preparation, search={"sampler": sampler, "trials": trials})
        assert any(f"draws its first {at_random} trials at random" in line for line in said) is (trials == at_random)
