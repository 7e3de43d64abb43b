"""Ranges that change no student: left out of the space, so that they are neither drawn nor counted, and named."""

from pathlib import Path
from typing import Any

import pytest
from fitted_spaces import fitted, space_with

from distill_tune.config import Space, load_space
from distill_tune.data import prepare_data
from distill_tune.export.result_folder import SEARCH_TOML, write_search_toml
from distill_tune.registry import STUDENTS
from distill_tune.tuning.planning.ranges_in_vain import without_ranges_in_vain

SIZES: dict[str, Any] = {"width": {"int": [4, 8]}, "depth": {"int": [1, 3]}}
FIXED: dict[str, Any] = {"loss": {"temperature": 4.0}, "optim": {"learning_rate": 0.01, "precision": "float32"}}


def student_ranges(space: Space) -> set[str]:
    return {path[-1] for path in space.ranges if path[0] == "student" and len(path) > 2}


def left_out(name: str, why: str) -> str:
    return f"warning: student.{name}: its range is left out, since it has no effect: {why}"


@pytest.mark.parametrize("widths", [[8], {"choice": [[8], [4, 4]]}])
def test_beside_widths_there_is_no_range_of_width_and_depth(preparation: Any, widths: Any) -> None:
    """Else the same student would be trained and confirmed as several."""
    mlp = {"widths": widths, **SIZES, "dropout": {"choice": [0.0, 0.5]}}
    found, said = fitted(preparation, **FIXED, student={"mlp": mlp}, search={"trials": 5})
    assert student_ranges(found.space) == {"dropout"} | ({"widths"} if isinstance(widths, dict) else set())
    assert said[:2] == [left_out("mlp.width", "widths is set"), left_out("mlp.depth", "widths is set")]
    many = 4 if isinstance(widths, dict) else 2
    assert said[2].startswith(f"warning: search.trials = 5, but this space has at most {many} combinations of values")
    assert set(found.first_settings[0]) <= {f"student.mlp.{option}" for option in ("widths", "dropout")}


def test_settings_to_try_first_may_still_name_a_range_that_is_left_out(preparation: Any) -> None:
    """Such as those of an earlier search, in which `widths` was not set."""
    search = {"start_with": [{"student.mlp.width": 5, "student.mlp.dropout": 0.5}]}
    mlp = {"widths": [8], **SIZES, "dropout": {"choice": [0.0, 0.5]}}
    found, said = fitted(preparation, student={"mlp": mlp}, search=search)
    assert found.first_settings == [{"student.mlp.dropout": 0.5}]
    assert said == [left_out("mlp.width", "widths is set"), left_out("mlp.depth", "widths is set")]


def test_a_family_of_ones_own_keeps_the_ranges_of_the_one_that_it_extends(
    preparation: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may use them, although the one that it extends does not."""
    (tmp_path / "deep_mlps.py").write_text(
        "from distill_tune.students.mlp import MLP\n\n\nclass Deep(MLP):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found, said = fitted(
        preparation, student={"family": "deep_mlps:Deep", "mlp": {}, "deep_mlps:Deep": {"widths": [8], **SIZES}}
    )
    assert student_ranges(found.space) == {"width", "depth"}
    assert not [each for each in said if "left out" in each]


def test_without_widths_there_are_both(preparation: Any) -> None:
    found, said = fitted(preparation, student={"mlp": SIZES})
    assert student_ranges(found.space) == {"width", "depth"}
    assert said == []


def test_a_table_has_no_range_of_what_only_images_have(preparation: Any, image_space: Any, tmp_path: Path) -> None:
    resnet = {**SIZES, "stages": {"int": [1, 3]}, "first_stride": {"choice": [1, 2]}}
    student = {"family": ["mlp", "resnet"], "resnet": resnet}
    found, said = fitted(preparation, student=student)
    assert student_ranges(found.space) == {"widths", "width", "depth"}
    assert said == [
        left_out("resnet.stages", "a table has one stage"),
        left_out("resnet.first_stride", "a table has no convolutions"),
    ]
    space, said = image_space(student=student), []
    assert without_ranges_in_vain(space, prepare_data(space.config.data, tmp_path), said.append) == space
    assert said == []


@pytest.mark.parametrize(("depth", "is_left_out"), [(1, True), (2, False), ({"int": [1, 2]}, False)])
def test_what_has_an_effect_on_some_student_stays(
    image_space: Any, tmp_path: Path, depth: Any, is_left_out: bool
) -> None:
    convnet = {"depth": depth, "separable": {"choice": [False, True]}}
    space, said = image_space(student={"family": "convnet", "convnet": convnet}), list[str]()
    found = without_ranges_in_vain(space, prepare_data(space.config.data, tmp_path), said.append)
    why = "depth is 1, and the first stage is never separable"
    assert said == ([left_out("convnet.separable", why)] if is_left_out else [])
    assert ("separable" not in student_ranges(found)) is is_left_out


def test_a_search_that_goes_on_has_no_more_ranges_than_the_one_that_began(preparation: Any, tmp_path: Path) -> None:
    found, _ = fitted(preparation, student={"mlp": {"widths": {"choice": [[8], [12]]}, **SIZES}})
    write_search_toml(tmp_path, found.space, "command")
    assert load_space(tmp_path / SEARCH_TOML, []) == found.space


def test_ranges_of_families_that_are_not_chosen_wait(preparation: Any) -> None:
    resnet = {"stages": {"int": [1, 3]}}
    found, said = fitted(preparation, student={"resnet": resnet})
    assert (found.space.ranges.keys(), said) == (space_with(student={"resnet": resnet}).ranges.keys(), [])


@pytest.mark.parametrize(
    ("family", "shape", "options", "other"),
    [
        ("mlp", (6,), {"widths": [5]}, {"width": 9, "depth": 4}),
        ("resnet", (6,), {}, {"stages": 4, "first_stride": 2}),
        ("convnet", (1, 8, 8), {"depth": 1}, {"separable": True}),
    ],
)
def test_what_is_said_to_have_no_effect_has_none(
    family: str, shape: tuple[int, ...], options: dict[str, Any], other: dict[str, Any]
) -> None:
    one, another = (STUDENTS.get(family)(**options, **more) for more in ({}, other))
    assert set(one.without_effect(shape)) == set(another.without_effect(shape)) == set(other)
    assert repr(one.build(shape, 3)) == repr(another.build(shape, 3))
