"""docs/your_own_parts.md is right about custom parts, and its table and image examples run."""

import importlib
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from itertools import product
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
import torch
from middle import Middle
from pages import code_block, first_name, names_in, rows_of

from distill_tune import registry
from distill_tune.config import Space
from distill_tune.data import RawImages, RawTable
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext
from distill_tune.tuning.state.records import Report

PAGE = "docs/your_own_parts.md"
HEADING = "What data and teacher sources get and give"


def test_every_base_class_that_the_page_names_is_what_the_registry_asks_for() -> None:
    rows = rows_of(PAGE, "Your own parts", "part")
    told = {tuple(found.split(":")) for row in rows for found in names_in(row["what it is"])}
    classes = {getattr(importlib.import_module(module), name) for module, name in filter(lambda t: len(t) == 2, told)}
    registries = [value for value in vars(registry).values() if isinstance(value, registry.Registry)]
    assert classes == {each.base for each in registries if each not in (registry.CORRUPTIONS, registry.FORMATS)}


@pytest.mark.parametrize("described", [RawTable, RawImages, DataSpec, TeacherContext, LoadedTeacher])
def test_every_field_of_what_a_source_gets_or_gives_is_described_and_no_other(described: type) -> None:
    rows = [row for row in rows_of(PAGE, HEADING, "class") if first_name(row["class"]) == described.__name__]
    assert {first_name(row["field"]) for row in rows} == {field.name for field in fields(described)}


@pytest.mark.parametrize("made", [RawTable, RawImages, LoadedTeacher])
def test_what_a_source_must_give_is_told_from_what_it_may_leave_out(made: type) -> None:
    rows = [row for row in rows_of(PAGE, HEADING, "class") if first_name(row["class"]) == made.__name__]
    required = {first_name(row["field"]) for row in rows if row["default"] == "required"}
    bare = {each.name for each in fields(made) if each.default is MISSING and each.default_factory is MISSING}
    assert required == bare


# The table example


@pytest.fixture(scope="module")
def trained(own_space: Space, preparation: Preparation) -> dict[tuple[str, str], list[Report]]:
    """Map family and loss to the reports of each epoch."""
    found = {}
    families, losses = (own_space.ranges[path].corners() for path in [("student", "family"), ("loss", "kind")])
    for chosen in product(families, losses):
        config = own_space.at(own_space.suggest(Middle(*chosen)))
        assert (config.student.family, config.loss.kind) == chosen
        found[chosen] = [
            epoch.report for epoch in distill(config, Materials.open(preparation.prepared, config), seed=0)
        ]
    return found


def test_the_users_own_student_loss_and_data_train(trained: dict[tuple[str, str], list[Report]]) -> None:
    assert ("my_parts:Waves", "my_parts:Between") in trained
    for reports in trained.values():
        assert [report["epoch"] for report in reports] == [1, 2]
        assert all(isfinite(value) for report in reports for value in report.values())


def test_the_users_own_loss_agrees_with_the_formula_at_both_ends(example: Path) -> None:
    own = importlib.import_module("my_parts")
    random = np.random.default_rng(0)
    student, teacher = random.standard_normal((2, 5, 3))
    p, q = (np.exp(logits / 3) / np.exp(logits / 3).sum(1, keepdims=True) for logits in (teacher, student))
    for part, first, second in ((0.0, p, q), (1.0, q, p)):
        expected = 9 * (first * np.log(first / second)).sum(1).mean()
        said = own.Between(part=part).soft(torch.from_numpy(student), torch.from_numpy(teacher), 3.0)
        assert said.item() == pytest.approx(expected)


def test_parameters_of_ones_own_parts_exist_only_where_they_are_chosen(own_space: Space) -> None:
    mine = own_space.suggest(Middle("my_parts:Waves", "my_parts:Between"))
    other = own_space.suggest(Middle("mlp", "soft_targets"))
    assert {'student."my_parts:Waves".pitch', 'loss."my_parts:Between".part'} <= set(mine)
    assert not any("my_parts" in name for name in other)


# The image example


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """The page's image space, shortened, with its module on the path."""
    torch.set_num_threads(1)  # tensors are small, so a second thread costs more than it helps
    (tmp_path / "my_images.py").write_text(code_block(PAGE, "my_images.py"))
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("my_images", None)
    tables = tomllib.loads(code_block(PAGE, "my_image_space.toml"))
    yield Space.parse({**tables, "search": {"max_epochs": 3}, "teacher": {**tables["teacher"], "views": 3}})
    sys.modules.pop("my_images", None)


def test_the_example_of_images_trains_a_student_that_learns_from_its_rule(space: Space, tmp_path: Path) -> None:
    config = space.at({"student.convnet.width": 8, "optim.learning_rate": 1e-2})
    preparation = prepare(space, tmp_path / "cache", lambda line: None)
    assert preparation.dataset.input_shape == (1, 12, 12)
    reports = [each.report for each in distill(config, Materials.open(preparation.prepared, config), seed=0)]
    assert all(isfinite(value) for value in reports[-1].values())
    assert reports[-1]["val/agreement"] > 0.8


def test_the_examples_augmentation_keeps_type_and_range(space: Space) -> None:
    from distill_tune.distillation.augmentation import Draw

    amounts = space.config.augmentation.amounts
    assert amounts == {"my_images:Brightness": 0.2}
    own = sys.modules["my_images"]
    images = torch.full((50, 1, 4, 4), 250, dtype=torch.uint8)
    seen = own.Brightness(amount=0.2).apply(images, Draw(seed=0, view=0, index=torch.arange(50)))
    assert (seen.shape, seen.dtype) == (images.shape, images.dtype)
    assert 195 <= seen.min() < 220
    assert seen.max() == 255
