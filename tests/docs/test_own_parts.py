"""What docs/configuration.md says of one's own sources, optimizers and augmentations is so, and its example runs."""

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from math import isfinite
from pathlib import Path

import pytest
import torch
from test_docs import code_block, first_name, rows_of

from distill_tune.config import Space
from distill_tune.data import RawImages, RawTable
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext

HEADING = "What data and teacher sources get and give"


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Space]:
    """The page's space of images, with its module on the path, short."""
    torch.set_num_threads(1)  # tensors are small, and a second thread waits for the first more than it helps
    (tmp_path / "my_images.py").write_text(code_block("docs/configuration.md", "my_images.py"))
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("my_images", None)
    tables = tomllib.loads(code_block("docs/configuration.md", "my_image_space.toml"))
    yield Space.parse({**tables, "search": {"max_epochs": 3}, "teacher": {**tables["teacher"], "views": 3}})
    sys.modules.pop("my_images", None)


@pytest.mark.parametrize("described", [RawTable, RawImages, DataSpec, TeacherContext, LoadedTeacher])
def test_every_field_of_what_a_source_gets_or_gives_is_described_and_no_other(described: type) -> None:
    rows = [row for row in rows_of(HEADING, "class") if first_name(row["class"]) == described.__name__]
    assert {first_name(row["field"]) for row in rows} == {field.name for field in fields(described)}


@pytest.mark.parametrize("made", [RawTable, RawImages, LoadedTeacher])
def test_what_a_source_must_give_is_told_from_what_it_may_leave_out(made: type) -> None:
    rows = [row for row in rows_of(HEADING, "class") if first_name(row["class"]) == made.__name__]
    required = {first_name(row["field"]) for row in rows if row["default"] == "required"}
    bare = {each.name for each in fields(made) if each.default is MISSING and each.default_factory is MISSING}
    assert required == bare


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
