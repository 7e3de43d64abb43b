"""Parts that do not fit together or lack something, found before anything is made."""

from pathlib import Path

import pytest
from good import Refuse


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["augmentation.flip=0.5"], "augmentation.flip: cannot be used on tables; for tables there are: mixup, noise"),
        (["student.family=convnet"], "student.family: convnet needs images (channels, height, width), but a sample"),
        (["student.family=['mlp', 'convnet']"], "student.family: convnet needs images (channels, height, width)"),
        (
            ["limits.max_parameters=20"],
            "limits: no student of the space can meet them; the smallest found (mlp) has 131 parameters",
        ),
        (["limits.max_multiply_adds=20"], "limits: no student of the space can meet them; the smallest found (mlp)"),
        (["augmentation.mixup={ uniform = [0.1, 1] }"], "augmentation.mixup: must be a value or { choice = [...] }"),
        (["loss.kind=hint"], "loss: 'hint' compares features, but source = 'logits' has only logits; name"),
        (["loss.also.crd={ log = [0.1, 1.0] }"], "loss: 'crd' compares features, but source = 'logits' has"),
        (["loss.kind=['sp', 'dkd']", "loss.sp.on={ choice = ['logits', 'features'] }"], "loss: 'sp' compares features"),
        (["loss.hint.student_layers=['0', '1']", "loss.hint.teacher_layers=['0']"], "loss.hint.teacher_layers: each"),
        (["loss.dkd.target_weight=0", "loss.dkd.non_target_weight=0"], "loss.dkd.target_weight: must not be 0 where"),
        (["resources.cpus_per_worker=9999"], "resources: a worker needs 9999 CPU, but this machine has "),
        (["teacher.mode=live"], "teacher.mode: 'live' needs a teacher that can run, but source = 'logits' has only"),
    ],
)  # fmt: skip
def test_parts_that_do_not_go_together(refuse: Refuse, settings: list[str], said: str) -> None:
    assert said in refuse(*settings)


TRAINED = ("teacher.source=train", "teacher.family=mlp", "teacher.train.epochs=1")


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("amounts", "said"),
    [
        ("{ flip = 0.5 }", "flip: cannot be used on tables; for tables there are: mixup, noise"),
        ("{ noise = -1 }", "noise: must be at least 0, but got -1."),
        ("{ nosie = 1 }", "nosie: unknown key. Did you mean 'noise'?"),
    ],
)
def test_an_augmentation_that_a_teacher_cannot_have(
    refuse: Refuse, arguments: tuple[str, ...], amounts: str, said: str
) -> None:
    told = refuse(*TRAINED, f"teacher.train.augmentation={amounts}", arguments=arguments)
    assert f"error: teacher.train.augmentation.{said}" in told


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["loss.kind=hint", "loss.hint.student_layers=['1.linear']"],
            "loss.hint.student_layers: the student 'mlp' has no feature '1.linear'. Known: 1, 2, 3, 4.",
        ),
        (
            ["loss.also.vid=0.1", "loss.vid.teacher_layers={ choice = [['2'], ['layer_2']] }"],
            "loss.vid.teacher_layers: the teacher has no feature 'layer_2'. Known: 1, 2, 3, 4.",
        ),
        (["loss.kind=['dkd', 'attention']"], "loss: 'attention' compares features, but the student 'mlp' has no"),
        (["loss.kind=attention", "loss.attention.student_layers=['2']"], "but the teacher has no feature map; choose"),
        (
            ["loss.also.reviewkd=0.1", "optim.batch_size={ choice = [64, 2] }", "resources.workers_per_trial=2"],
            "optim.batch_size: loss 'reviewkd' needs 2 samples a step for each worker (there are 2), but got 2; write",
        ),
    ],
)  # fmt: skip
def test_features_that_cannot_be_compared_are_found_before_a_teacher_is_trained(
    refuse: Refuse, settings: list[str], said: str
) -> None:
    assert said in refuse(*TRAINED, *settings)
    assert said in refuse(*TRAINED, *settings, arguments=("space.toml", "--dry-run"))


def test_features_that_only_the_loaded_teacher_knows_to_be_missing(refuse_torch: Refuse) -> None:
    told = refuse_torch("my_teachers:net", "loss.kind=hint", "loss.hint.teacher_layers=['3']")
    assert "loss.hint.teacher_layers: the teacher has no feature '3'. Known: 0, 1." in told
    named = ("my_teachers:net", "loss.kind=hint", "loss.hint.student_layers=['9']")
    assert "loss.hint.student_layers: the student 'mlp' has no feature '9'. Known: 1, 2, 3, 4." in refuse_torch(*named)


def test_a_limit_that_no_student_meets_is_found_before_a_teacher_is_trained(refuse: Refuse) -> None:
    assert "limits: no student" in refuse(*TRAINED, "limits.max_parameters=20")
    teacher = ["teacher.source=train", "teacher.family=mlp", "teacher.train.epochs=1"]
    assert "limits: no student" in refuse(*teacher, "limits.max_parameters=20")


def test_more_views_than_the_disk_has_room_for_are_refused_before_a_teacher_is_trained(refuse: Refuse) -> None:
    teacher = ["teacher.source=train", "teacher.family=mlp", "teacher.train.epochs=1", "augmentation.noise=0.1"]
    said = refuse(*teacher, "teacher.views=900000000000")
    assert "error: --storage: " in said
    assert "teacher's cache of 900,000,000,000 views x 38 samples x 3 classes" in said
    assert "free; lower teacher.views, make room, or name another --storage." in said


INCOMPLETE = """
from distill_tune.data.sources import Source
from distill_tune.distillation.losses import Loss
from distill_tune.students import Student
from distill_tune.teachers import Teacher
from distill_tune.tuning.schedulers import Scheduler

class Family(Student):
    width: int = 3

class Rows(Source):
    def load(self, config):
        raise AssertionError("loaded")

class Term(Loss): ...
class Labels(Teacher): ...
class Ladder(Scheduler): ...
"""


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("student.family=incomplete:Family", "student.family: 'incomplete:Family' lacks build, without which it is no"),
        ("data.source=incomplete:Rows", "data.source: 'incomplete:Rows' lacks content, without which it is no data"),
        ("loss.kind=incomplete:Term", "loss.kind: 'incomplete:Term' lacks soft, without which it is no loss; write"),
        ("teacher.source=incomplete:Labels", "teacher.source: 'incomplete:Labels' lacks identity and load, without"),
        ("search.scheduler=incomplete:Ladder", "search.scheduler: 'incomplete:Ladder' lacks judge, without which it"),
    ],
)
def test_a_part_of_ones_own_that_lacks_a_method(
    refuse: Refuse, folder: Path, arguments: tuple[str, ...], setting: str, said: str
) -> None:
    (folder / "incomplete.py").write_text(INCOMPLETE)
    assert said in refuse(setting, arguments=arguments)


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
def test_a_family_that_the_teacher_cannot_be_is_refused_by_the_teachers_key(
    refuse: Refuse, arguments: tuple[str, ...]
) -> None:
    told = refuse("teacher.source=train", "teacher.family=convnet", arguments=arguments)
    assert "error: teacher.family: convnet needs images (channels, height, width), but a sample is" in told
