"""A teacher that is a table of logits: each row goes to its sample, and new samples cannot be labelled."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_trainings import Make

from distill_tune.data.dataset import open_test
from distill_tune.distillation.cache.labelling import label_inputs
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError


@pytest.fixture
def logits_of_blobs(tmp_path: Path) -> str:
    path = tmp_path / "logits.npy"
    np.save(path, np.random.default_rng(0).normal(size=(600, 4)))
    return str(path)


def test_logits_go_to_the_samples_that_they_are_of(table_space: Make, logits_of_blobs: str, tmp_path: Path) -> None:
    space = table_space(
        teacher={"source": "logits", "path": logits_of_blobs}, data={"student_samples": 30}, loss={"soft_weight": 1.0}
    )
    preparation = prepare(space, tmp_path, lambda line: None)
    materials = Materials.open(preparation.prepared, space.config)
    train, validation = preparation.dataset.split("train"), preparation.dataset.split("validation")
    table = np.load(logits_of_blobs).astype(np.float32)
    assert materials.teacher is not None
    np.testing.assert_array_equal(materials.teacher.logits(0), table[train.index[train.labelled]])
    np.testing.assert_array_equal(materials.teacher.validation, table[validation.index])


def test_logarithms_of_probabilities_have_no_shift_of_their_own_for_each_sample(
    table_space: Make, logits_of_blobs: str, tmp_path: Path
) -> None:
    logits = np.load(logits_of_blobs)
    np.save(logits_of_blobs, logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    space = table_space(teacher={"source": "logits", "path": logits_of_blobs})
    preparation = prepare(space, tmp_path, lambda line: None)
    teacher = Materials.open(preparation.prepared, space.config).teacher
    assert teacher is not None
    expected = (logits - logits.mean(1, keepdims=True))[preparation.dataset.split("validation").index]
    np.testing.assert_allclose(teacher.validation, expected, atol=1e-6)


def test_of_a_table_of_logits_a_search_holds_the_rows_of_test_alone(
    table_space: Make, logits_of_blobs: str, tmp_path: Path
) -> None:
    space = table_space(teacher={"source": "logits", "path": logits_of_blobs})
    preparation, table = prepare(space, tmp_path, lambda line: None), np.load(logits_of_blobs).astype(np.float32)
    Path(logits_of_blobs).unlink()
    test = open_test(preparation.dataset)
    np.testing.assert_array_equal(label_inputs(preparation.teacher, test.inputs, test.index), table[test.index])
    with pytest.raises(IndexError, match="not kept"):
        label_inputs(preparation.teacher, test.inputs, preparation.dataset.split("train").index)


def test_what_may_be_wrong_with_useless_logits_is_the_order_of_their_rows_or_classes(
    table_space: Make, logits_of_blobs: str, tmp_path: Path
) -> None:
    np.save(logits_of_blobs, np.tile(np.eye(4, dtype=np.float32)[:1] * 5, (600, 1)))
    said: list[str] = []
    prepare(table_space(teacher={"source": "logits", "path": logits_of_blobs}), tmp_path, said.append)
    (warning,) = (line for line in said if line.startswith("warning: teacher: val/accuracy "))
    assert "; check the order of its rows (it must be the data's), and the order of its classes (0, 1, 2" in warning
    assert "weights" not in warning


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"augmentation": {"mixup": 0.5}}, r"^augmentation\.mixup: the teacher must label what the student sees, "),
        ({"teacher": {"mode": "live"}}, r"^teacher\.mode: 'live' needs a teacher that can run, "),
    ],
    ids=["augmentation", "live"],
)
def test_mere_logits_cannot_label_anything_new(
    table_space: Make, logits_of_blobs: str, tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    logits = {"source": "logits", "path": logits_of_blobs}
    space = table_space(**{**sections, "teacher": logits | sections.get("teacher", {})})
    with pytest.raises(ConfigError, match=message):
        prepare(space, tmp_path / "cache", lambda line: None)
