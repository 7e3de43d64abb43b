"""Cross-validated training: a student per fold side by side, one report over all folds, and a student of all folds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from searches import NO_PROGRAMS

from distill_tune.arrays import read_arrays
from distill_tune.config import Config, Space
from distill_tune.data import open_dataset
from distill_tune.distillation.cache.folders import outputs_folder
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.distillation.training.folds import Progress, train_students
from distill_tune.distillation.training.loop import distill
from distill_tune.errors import TrainingError
from distill_tune.evaluation import metrics
from distill_tune.evaluation.calibration import fitted_temperature
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.train import main
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.examination import examine
from distill_tune.tuning.workers import keeping, worker_group
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.keeping import fold_weights

FOLDS = 3
Ready = tuple[Config, Preparation]


@pytest.fixture
def folded(table_space: Callable[..., Space], ready: Callable[[Space], Ready]) -> Ready:
    return ready(table_space(data={"folds": FOLDS}))


def last(progress: Any) -> Progress:
    found: Progress = list(progress)[-1]
    return found


def test_the_report_is_what_all_validation_samples_together_say(folded: Ready) -> None:
    config, preparation = folded
    end = last(train_students(config, preparation.prepared, seed=0))
    folds = [open_dataset(fold.data_folder) for fold in preparation.prepared.folds]
    assert len(end.students.folds) == len(folds) == FOLDS
    answers = [
        predict_logits(student, fold.split("validation").inputs)
        for student, fold in zip(end.students.folds, folds, strict=True)
    ]
    logits = np.concatenate(answers)
    labels = np.concatenate([fold.split("validation").labels for fold in folds])
    assert len(labels) == preparation.dataset.num_rows["train"]
    assert end.report["val/accuracy"] == metrics.accuracy(logits, labels)
    assert end.report["val/loss"] == pytest.approx(metrics.nll(logits, labels), rel=1e-5)
    assert end.report["val/worst_class_accuracy"] == pytest.approx(metrics.worst_class_accuracy(logits, labels))
    teachers = [outputs_folder(Path(str(fold.teacher_folder)), config) for fold in preparation.prepared.folds]
    taught = np.concatenate([read_arrays(each / "validation.arrow")["logits"] for each in teachers])
    assert end.report["val/agreement"] == pytest.approx(metrics.agreement(logits, taught))
    assert end.report["gap/accuracy"] == pytest.approx(end.report["train/accuracy"] - end.report["val/accuracy"])


def test_side_by_side_every_student_is_the_one_that_it_is_alone(folded: Ready) -> None:
    config, preparation = folded
    end = last(train_students(config, preparation.prepared, seed=0, refit=True))
    everything = [*preparation.prepared.folds, preparation.prepared]
    for student, prepared in zip([*end.students.folds, end.students.student], everything, strict=True):
        alone = list(distill(config, Materials.open(prepared, config), 0))[-1].student
        for one, other in zip(student.parameters(), alone.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("refit", [False, True])
def test_a_training_taken_up_again_after_any_epoch_ends_as_if_it_had_not_been_ended(folded: Ready, refit: bool) -> None:
    config, preparation = folded
    whole = last(train_students(config, preparation.prepared, 0, refit=refit))
    for epochs in range(1, config.search.max_epochs):
        begun = train_students(config, preparation.prepared, 0, refit=refit)
        for _ in range(epochs):
            checkpoint = next(begun).checkpoint()
        begun.close()
        again = last(train_students(config, preparation.prepared, 0, resume=checkpoint, refit=refit))
        assert again.report["epoch"] == config.search.max_epochs
        for name in ("val/accuracy", "val/loss", "train/loss", "gap/accuracy"):
            assert again.report[name] == whole.report[name]
        for one, other in zip(again.students.student.parameters(), whole.students.student.parameters(), strict=True):
            assert torch.equal(one, other)


def test_a_fold_that_diverges_is_named(table_space: Callable[..., Space], ready: Callable[[Space], Ready]) -> None:
    space = table_space(data={"folds": FOLDS}, optim={"kind": "sgd", "learning_rate": 1e30})
    config, preparation = ready(space)
    with pytest.raises(TrainingError, match=f"fold 1 of {FOLDS}: the training loss is"):
        last(train_students(config, preparation.prepared, 0))


def test_no_fold_hears_of_its_validation_labels_through_its_teacher(tmp_path: Path) -> None:
    """Random labels: only a student that has seen them beats chance."""
    rng = np.random.default_rng(0)
    rows = {"x": rng.normal(size=(200, 16)).astype(np.float32), "y": rng.integers(0, 2, 200)}
    np.savez(tmp_path / "noise.npz", **rows)
    space = Space.parse(
        {
            "data": {"source": "npz", "path": str(tmp_path / "noise.npz"), "folds": 4},
            "teacher": {
                "family": "mlp",
                "mlp": {"widths": [128]},
                "train": {"epochs": 60, "learning_rate": 0.02, "batch_size": 32},
            },
            "student": {"family": "mlp", "mlp": {"widths": [64]}},
            "loss": {"soft_weight": 1.0, "temperature": 1.0},
            "optim": {"learning_rate": 1e-2, "batch_size": 32},
            "search": {"max_epochs": 30},
        }
    )
    said: list[str] = []
    preparation = prepare(space, tmp_path / "cache", said.append)
    train = preparation.dataset.split("train")
    assert preparation.teacher.module is not None
    known = predict_logits(preparation.teacher.module, train.inputs)
    assert metrics.accuracy(known, train.labels) > 0.95  # the teacher of all folds has memorised them
    end = last(train_students(space.config, preparation.prepared, 0, refit=True))
    assert end.report["train/accuracy"] > 0.9  # and so has each fold's student, from its own teacher
    assert 0.35 < end.report["val/accuracy"] < 0.65
    assert metrics.accuracy(predict_logits(end.students.student, train.inputs), train.labels) > 0.9


def test_an_assignment_goes_on_from_its_checkpoint_and_keeps_every_student(
    folded: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "CHECKPOINT_EVERY_S", -1.0)
    config, preparation = folded
    keep = tmp_path / "kept.safetensors"
    assignment = Assignment("0001", config, 0, preparation.prepared, tmp_path / "0001.pt", keep)
    begun = worker_group.train(assignment, "cpu")
    first = [next(begun), next(begun)]
    begun.close()
    assert (tmp_path / "0001.pt").exists()
    reports = list(worker_group.train(assignment, "cpu"))
    assert reports[0] == first[0]
    undisturbed = last(train_students(config, preparation.prepared, 0, refit=True))
    assert reports[-1]["val/loss"] == undisturbed.report["val/loss"]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == sorted(
        [keep.name, *(fold_weights(keep, number).name for number in range(FOLDS))]
    )


def test_on_test_the_student_of_all_folds_is_scaled_by_what_the_folds_say(folded: Ready, tmp_path: Path) -> None:
    config, preparation = folded
    candidate = Candidate("trial-0001", config, [1, 2], TrialRecord(1, "0001", {}))
    folds = [open_dataset(fold.data_folder) for fold in preparation.prepared.folds]
    fitted = []
    for seed in candidate.seeds:
        keep = tmp_path / f"{seed}.safetensors"
        list(worker_group.train(Assignment("0001", config, seed, preparation.prepared, keep=keep), "cpu"))
        candidate.weights[seed] = keep
        students = last(train_students(config, preparation.prepared, seed)).students.folds
        parts = [fold.split("validation") for fold in folds]
        logits = np.concatenate([predict_logits(s, p.inputs) for s, p in zip(students, parts, strict=True)])
        fitted.append(fitted_temperature(logits, np.concatenate([part.labels for part in parts])))
    found = examine([candidate], preparation.teacher, preparation.dataset, folds).by_candidate["trial-0001"]
    assert found.scaling_temperature == pytest.approx(float(np.mean(fitted)))
    assert found.accuracy.mean > 0.5


def test_the_train_command_reports_the_folds_and_leaves_the_student_of_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run.toml"
    run.write_text(
        '[data]\nsource = "blobs"\nfolds = 3\n[data.blobs]\nsamples = 300\n[teacher]\nfamily = "mlp"\n'
        '[teacher.train]\nepochs = 2\n[student]\nfamily = "mlp"\n[search]\nmax_epochs = 2\n'
    )
    assert main([str(run), "--storage", str(tmp_path / "results"), "--name", "folded", *NO_PROGRAMS]) == 0
    said = capsys.readouterr().out
    assert "samples in 3 folds" in said
    assert "fold 3: training the teacher" in said
    folder = tmp_path / "results" / "folded"
    assert {path.name for path in folder.iterdir()} == {"train.json", "seed-0"}
    assert (folder / "seed-0" / "student.safetensors").exists()
    assert (folder / "seed-0" / "README.md").read_text().startswith("# Student of folded, seed 0\n\nval/accuracy 0.")
