"""The time before a search, as a dry run reports it: teacher training and labelling, minus what is cached."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import TABLE, run_space
from safetensors.torch import save_file
from torch import nn

from distill_tune import search
from distill_tune.config import Space
from distill_tune.data import prepare_data
from distill_tune.distillation.cache.labelling_pace import labelling_s
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.preparation.ready_teachers import try_to_load
from distill_tune.distillation.preparation.teacher_training import own_config
from distill_tune.tuning.planning import teacher_time
from distill_tune.tuning.planning.teacher_time import TeacherTime, estimated_teacher_time

STEP_S = 2.0
NOTHING = TeacherTime(0.0, 0, 0.0, 0, 0.0)
NOISE = {"noise": {"choice": [0.0, 0.1]}}


@pytest.fixture(autouse=True)
def _steps_of_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_time, "step_s", lambda *arguments, **options: STEP_S)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 6), nn.Dropout(0.5), nn.Linear(6, 4))


def spaces(**sections: dict[str, Any]) -> Space:
    return run_space(TABLE, **sections)


def estimated(space: Space, folder: Path) -> TeacherTime:
    dataset = prepare_data(space.config.data, folder / "cache")
    (folder / "loaded").mkdir(exist_ok=True)
    loaded = try_to_load(space, dataset, folder / "loaded", print)
    found = estimated_teacher_time(space, dataset, loaded, folder / "cache")
    assert found is not None
    return found


def samples(folder: Path, split: str) -> int:
    return prepare_data(spaces().config.data, folder / "cache").num_rows[split]


def test_a_teacher_takes_the_steps_of_all_its_epochs_and_labels_every_view(tmp_path: Path) -> None:
    recipe = {"epochs": 10, "batch_size": 32, "passes": 3}
    found = estimated(spaces(teacher={"train": recipe, "views": 5}, augmentation=NOISE), tmp_path)
    train, validation = samples(tmp_path, "train"), samples(tmp_path, "validation")
    assert found.training_s == pytest.approx(10 * 3 * train / 32 * STEP_S)
    assert found.labelled == (1 + 5) * train + 2 * validation
    assert found.labelling_s > 0


def test_each_generation_is_trained_and_labelled_for_anew(tmp_path: Path) -> None:
    one, three = (
        estimated(spaces(teacher={"train": {"epochs": 2, "generations": count}}), tmp_path) for count in (0, 2)
    )
    assert three.training_s > 3 * one.training_s
    assert three.labelled == one.labelled


def test_a_teacher_of_few_labels_takes_the_steps_that_its_training_takes(tmp_path: Path) -> None:
    """It repeats the labelled rows until an epoch is as long as one over all rows."""
    draw = np.random.default_rng(0)
    labels = np.where(np.arange(2000) < 100, np.arange(2000) % 4, -1)
    np.savez(tmp_path / "few.npz", x=draw.normal(size=(2000, 8)), y=labels)
    data = {"source": "npz", "path": str(tmp_path / "few.npz"), "rest": "unlabelled"}
    space = run_space(TABLE | {"data": data}, teacher={"train": {"epochs": 3, "batch_size": 16, "passes": 2}})
    found = estimated(space, tmp_path)
    dataset = prepare_data(space.config.data, tmp_path / "cache")
    (recipe,) = try_to_load(space, dataset, tmp_path / "loaded", print).values()
    assert isinstance(recipe, dict)
    own = own_config(recipe, space.config)
    materials = Materials.open(Prepared(dataset.folder, None), own, see_all=True)
    steps = 3 * materials.batches(own, 0, Shard(), use_teacher=False).steps_per_epoch
    assert steps > 10 * 3 * 2 * 100 / 16
    assert found.training_s == pytest.approx(steps * STEP_S, rel=0.05)


def test_losses_on_features_have_the_teacher_look_at_every_view_once_more(tmp_path: Path) -> None:
    train = {"teacher": {"train": {"epochs": 1}, "views": 4}, "augmentation": NOISE}
    plain, hint = (spaces(**train, loss=loss) for loss in ({}, {"also": {"hint": 0.5}}))
    found, views = estimated(hint, tmp_path), (1 + 4) * samples(tmp_path, "train")
    assert (found.shown, estimated(plain, tmp_path).shown) == (views, 0)
    assert found.showing_s == pytest.approx(found.labelling_s * views / found.labelled)
    prepare(plain, tmp_path / "cache", lambda line: None)
    after = estimated(hint, tmp_path)
    assert after[:4] == (0.0, 0, 0.0, views), "logits alone are in the cache"
    prepare(hint, tmp_path / "cache", lambda line: None)
    assert estimated(hint, tmp_path) == NOTHING


def test_what_the_cache_has_takes_no_time(tmp_path: Path) -> None:
    plain = spaces(teacher={"train": {"epochs": 1}})
    prepare(plain, tmp_path / "cache", lambda line: None)
    assert estimated(plain, tmp_path) == NOTHING
    more = estimated(spaces(teacher={"train": {"epochs": 1}, "views": 4}, augmentation=NOISE), tmp_path)
    assert more.training_s == 0
    assert more.labelled == 4 * samples(tmp_path, "train") + samples(tmp_path, "validation")
    others = estimated(spaces(teacher={"train": {"epochs": 1}, "views": 4}, augmentation={"noise": 0.2}), tmp_path)
    assert others[:2] == more[:2], "a teacher is kept that has labelled other views"
    assert estimated(spaces(teacher={"train": {"epochs": 2}}), tmp_path).training_s > 0


def test_a_teacher_that_is_loaded_labels_only_and_one_of_logits_alone_does_nothing(tmp_path: Path) -> None:
    save_file(network().state_dict(), tmp_path / "w.safetensors")
    factory = {"torch": {"factory": f"{__name__}:network"}}
    found = estimated(spaces(teacher={"source": "torch", "path": str(tmp_path / "w.safetensors"), **factory}), tmp_path)
    assert (found.training_s, found.labelled) == (0.0, samples(tmp_path, "train") + samples(tmp_path, "validation"))
    np.save(tmp_path / "l.npy", np.random.default_rng(0).normal(size=(600, 4)))
    assert estimated(spaces(teacher={"source": "logits", "path": str(tmp_path / "l.npy")}), tmp_path) == NOTHING


def test_a_live_teacher_labels_the_validation_samples_once(tmp_path: Path) -> None:
    live = estimated(spaces(teacher={"mode": "live", "train": {"epochs": 1}}, augmentation=NOISE), tmp_path)
    assert live.labelled == samples(tmp_path, "validation")


def test_of_several_teachers_all_count(tmp_path: Path) -> None:
    members = {name: {"family": "mlp", "train": {"epochs": count}} for name, count in (("a", 1), ("b", 2))}
    found = estimated(spaces(teacher={"source": "ensemble", "ensemble": {"members": members}}), tmp_path)
    assert found.training_s == pytest.approx(3 * samples(tmp_path, "train") / 128 * STEP_S)
    assert found.labelled == 2 * (samples(tmp_path, "train") + samples(tmp_path, "validation"))


def test_each_fold_has_a_teacher(tmp_path: Path) -> None:
    space = spaces(data={"folds": 3}, teacher={"train": {"epochs": 1}})
    found = estimated(space, tmp_path)
    whole = prepare_data(space.config.data, tmp_path / "cache").num_rows["train"]
    assert found.training_s == pytest.approx(3 * whole / 128 * STEP_S)


def test_timing_leaves_the_teacher_and_what_is_drawn_next_as_they_were(tmp_path: Path) -> None:
    space = spaces(teacher={"family": "mlp", "mlp": {"dropout": 0.5}})
    torch.manual_seed(5)
    estimated(space, tmp_path)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    module = network().train()
    labelling_s(module, prepare_data(space.config.data, tmp_path / "cache").split("train").inputs)
    assert module.training


def test_a_dry_run_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["teacher.train.epochs=40", "teacher.train.batch_size=1", "loss.also.hint=0.5"]
    arguments = ["--storage", str(tmp_path), *(word for setting in settings for word in ("--set", setting))]
    assert search.main(["search_spaces/digits.toml", "--dry-run", *arguments]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "before the search" in line)
    assert line.startswith("  before the search: the teacher's training, about 25:3")
    assert " h; the teacher's labelling of " in line
    assert re.search(r" s; its features of [\d,]+ samples for losses on them, about .* s; Ray's start, some 5 s$", line)
