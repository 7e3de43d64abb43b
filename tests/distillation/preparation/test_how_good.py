"""A teacher that is no better than the commonest class: what its warning names, and what of it is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import IMAGES, TABLE, run_space
from safetensors.torch import save_file
from torch import nn

from distill_tune.config.sections import TeacherConfig
from distill_tune.data.dataset import open_test
from distill_tune.distillation.preparation.how_good import HowGood
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.tuning.verdict.examination import examine
from distill_tune.tuning.verdict.teacher_summary import teacher_of


def of_images() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def of_rows() -> nn.Module:
    return nn.Linear(8, 4)


def always_the_first(folder: Path, factory: str) -> dict[str, Any]:
    """A teacher that says the first class of every sample."""
    with torch.no_grad():
        state = {name: torch.zeros_like(weights) for name, weights in globals()[factory]().state_dict().items()}
    next(weights for name, weights in state.items() if name.endswith("bias"))[0] = 3.0
    save_file(state, folder / "w.safetensors")
    table = {"factory": f"test_how_good:{factory}"}
    return {"source": "torch", "path": str(folder / "w.safetensors"), "torch": table}


def prepared(base: dict[str, Any], teacher: dict[str, Any], folder: Path) -> tuple[Preparation, list[str]]:
    """The preparation, and the warnings that it gave."""
    said = list[str]()
    found = prepare(run_space({**base, "teacher": teacher}), folder / "cache", said.append)
    return found, [line for line in said if line.startswith("warning: ")]


@pytest.mark.parametrize(
    ("factory", "suspects"),
    [
        ("of_images", "its weights, its inputs (teacher.torch.mean and std), and"),
        ("of_rows", "weights, its inputs, and"),
    ],
)
def test_the_warning_names_the_keys_of_the_normalisation_only_for_images(
    tmp_path: Path, factory: str, suspects: str
) -> None:
    base = IMAGES if factory == "of_images" else TABLE
    _, (warning,) = prepared(base, always_the_first(tmp_path, factory), tmp_path)
    assert f"{suspects} the order of its classes (" in warning


def test_a_teacher_that_was_trained_here_is_to_be_trained_longer(tmp_path: Path) -> None:
    """Its weights, its inputs and the order of its classes are this package's own."""
    hopeless = {**TABLE["teacher"], "train": {"epochs": 1, "learning_rate": 1e-9}}
    _, (warning,) = prepared(TABLE, hopeless, tmp_path)
    assert warning.endswith("; train it longer, or with another learning rate")


def test_the_summary_keeps_how_good_the_teacher_was_on_validation(tmp_path: Path) -> None:
    found, _ = prepared(TABLE, always_the_first(tmp_path, "of_rows"), tmp_path)
    labels = found.dataset.split("validation").labels
    accuracy, commonest = float((labels == 0).mean()), float(np.bincount(labels).max() / len(labels))
    assert found.on_validation == {"": HowGood(accuracy, commonest)}
    told = teacher_of(found.teacher, examine([], found.teacher, found.dataset), (8,), found.on_validation)
    assert told["validation"] == {"accuracy": accuracy, "commonest_class": commonest}
    assert told["test"]["accuracy"] == float((open_test(found.dataset).labels == 0).mean())


def test_the_summary_keeps_it_of_each_of_several_teachers(tmp_path: Path) -> None:
    useless = always_the_first(tmp_path, "of_rows")
    several = {"source": "ensemble", "ensemble": {"members": {"old": useless, "new": TABLE["teacher"]}}}
    found, _ = prepared(TABLE, several, tmp_path)
    mixed = found.teacher.mixed(TeacherConfig(**several).chosen("source").mix())
    told = teacher_of(mixed, examine([], mixed, found.dataset), (8,), found.on_validation)
    assert "validation" not in told
    old, new = (told["members"][name]["validation"] for name in ("old", "new"))
    assert old["accuracy"] <= old["commonest_class"] == new["commonest_class"] < new["accuracy"]


def test_with_folds_the_validation_samples_of_all_are_pooled(tmp_path: Path) -> None:
    folded = {**TABLE, "data": {**TABLE["data"], "folds": 3}}
    found, _ = prepared(folded, always_the_first(tmp_path, "of_rows"), tmp_path)
    rows = found.dataset.split("train").labels
    assert found.on_validation[""].accuracy == pytest.approx(float((rows == 0).mean()))
