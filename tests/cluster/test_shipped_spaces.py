"""Every shipped search space asks a question, parses, and samples what can be built."""

import math
import re
import tomllib
from collections import Counter
from pathlib import Path

import optuna
import pytest
from torch import nn

from distill_tune.config import load_space
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.norm_limit import norm_limit
from distill_tune.students import Student, count_cost

PROJECT = Path(__file__).parents[2]
SPACES = sorted((PROJECT / "search_spaces").glob("*.toml"))
every_space = pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)


def head_of(path: Path) -> str:
    """The comment at the head of a file, as one line."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def test_the_spaces_that_the_documents_name_are_there():
    named = {
        "digits",
        "digits_front",
        "fashion_mnist",
        "fashion_mnist_few",
        "letter",
        "letter_few",
        "original_mlp",
        "original_request",
    }
    assert named <= {path.stem for path in SPACES}


@every_space
def test_it_opens_with_a_question(path):
    assert re.match(r"[A-Z][^.!]*\?", head_of(path))


@every_space
def test_learning_rate_and_weight_decay_are_searched_lest_temperature_stand_in_for_them(path):
    optim = tomllib.loads(path.read_text())["optim"]
    assert isinstance(optim["learning_rate"], dict)
    assert isinstance(optim["weight_decay"], dict)


@every_space
def test_transforms_of_cached_views_are_few_so_that_the_teacher_can_answer_for_each(path):
    for amount in tomllib.loads(path.read_text()).get("augmentation", {}).values():
        assert not isinstance(amount, dict) or list(amount) == ["choice"]


SHAPES = {
    "digits": ((1, 8, 8), 10),
    "fashion_mnist": ((1, 28, 28), 10),
    "letter": ((16,), 26),
    "blobs": ((20,), 20),
}
"""Shape of one sample and number of classes, by source."""


def parameters_of(family: Student, source: str) -> int:
    shape, classes = SHAPES[source]
    return count_cost(family, shape, classes).parameters


@every_space
def test_two_hundred_samples_parse_and_build_and_most_meet_the_limits(path):
    space = load_space(path, [])
    source, most = space.config.data.source, space.config.limits.max_parameters
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    families = [space.at(space.suggest(study.ask())).student.chosen("family") for _ in range(200)]
    different = {repr(family): family for family in families}
    parameters = {key: parameters_of(family, source) for key, family in different.items()}
    drawn = Counter(map(repr, families))
    assert sum(drawn[key] for key, count in parameters.items() if count <= most) >= 100


@every_space
def test_a_teacher_is_several_times_the_size_of_the_largest_student(path):
    config = load_space(path, []).config
    teacher = parameters_of(config.teacher.chosen("family"), config.data.source)
    assert teacher > 3 * config.limits.max_parameters


@pytest.mark.parametrize("name", ["original_mlp", "original_request"])
def test_what_the_original_request_asks_for_is_trained(name, tmp_path):
    """A teacher of (100, 200, 300) and students of (20, 20, 20): each init, loss, and bound on the norm."""
    few = ["data.blobs.samples=1000", "teacher.train.epochs=1", "search.max_epochs=1"]
    space = load_space(PROJECT / "search_spaces" / f"{name}.toml", few)
    preparation = prepare(space, tmp_path, lambda line: None)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    configs = [space.at(space.suggest(study.ask())) for _ in range(24)]
    bounded = 0
    for config in configs:
        materials = Materials.open(preparation.prepared, config)
        (epoch,) = distill(config, materials, 0)
        assert 0 < epoch.report["val/accuracy"] <= 1
        limit = norm_limit(config, materials.teacher_weights)
        assert limit is None or norm_of(epoch.student) <= limit
        bounded += limit is not None
    assert {config.student.init for config in configs} == set(space.inits)
    assert bounded == (len(configs) if name == "original_request" else 0)
    assert {config.loss.kind for config in configs} == {"soft_targets", "labels"}


def norm_of(student: nn.Module) -> float:
    return math.sqrt(sum(float(parameter.detach().double().square().sum()) for parameter in student.parameters()))
