"""A search space: what a trial samples, what exists for it, and the resulting run."""

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sampled import BASE, SEEDS, sample, value_at

from distill_tune.config import Space, load_space, tables_of
from distill_tune.config.choosing import Choosing
from distill_tune.config.sections import SECTIONS
from distill_tune.errors import ConfigError

SPACES = {
    path.stem: load_space(path, []) for path in sorted((Path(__file__).parents[2] / "search_spaces").glob("*.toml"))
}
SHIPPED = st.sampled_from(sorted(SPACES))
EVERYTHING = """
[data]
source = "digits"
[data.csv]
separator = ";"
[teacher]
family = "mlp"
[teacher.convnet]
width = 8
[student]
family = ["mlp", "convnet"]
[student.mlp]
width = { log_int = [4, 64] }
[student.convnet]
width = { choice = [4, 8] }
[student.resnet]
depth = 2
[loss]
temperature = { log = [1.0, 20.0] }
soft_weight = { uniform = [0, 1] }
kind = ["soft_targets", "labels"]
[optim]
kind = ["adamw", "sgd"]
learning_rate = { log = [1e-4, 1e-1] }
[optim.sgd]
momentum = { uniform = [0.0, 0.95] }
[optim.adamw]
beta2 = 0.99
"""


def everything() -> Space:
    return Space.parse(tomllib.loads(EVERYTHING))


@given(SHIPPED, SEEDS)
def test_the_run_of_a_trial_comes_back_from_toml_as_it_was(name: str, seed: int) -> None:
    space = SPACES[name]
    config = space.at(sample(space, seed))
    read = Space.parse(tomllib.loads(tomli_w.dumps(tables_of(config))))
    assert not read.ranges
    assert read.config == config
    assert read.at({}) == config


@given(SHIPPED, SEEDS)
def test_the_run_of_a_trial_has_every_sampled_value(name: str, seed: int) -> None:
    values = sample(SPACES[name], seed)
    tables = tables_of(SPACES[name].at(values))
    assert {key: value_at(tables, key) for key in values} == values


@given(SEEDS)
def test_only_the_parameters_of_what_was_chosen_exist(seed: int) -> None:
    values = sample(everything(), seed)
    expected = {"student.family", "loss.kind", "optim.kind", "optim.learning_rate"}
    expected |= {f"student.{values['student.family']}.width"}
    expected |= {"optim.sgd.momentum"} if values["optim.kind"] == "sgd" else set()
    expected |= {"loss.temperature", "loss.soft_weight"} if values["loss.kind"] == "soft_targets" else set()
    assert set(values) == expected


@given(SHIPPED | st.none(), SEEDS)
def test_a_run_has_no_table_of_what_it_did_not_choose(name: str | None, seed: int) -> None:
    space = everything() if name is None else SPACES[name]
    config = space.at(sample(space, seed))
    for section in SECTIONS:
        model = getattr(config, section)
        if isinstance(model, Choosing):
            assert set(model.tables) <= {getattr(model, field) for field in model.chooses}


@given(SEEDS)
def test_options_of_what_was_chosen_stay_though_they_are_no_ranges(seed: int) -> None:
    config = everything().at(sample(everything(), seed))
    assert config.optim.tables.get("adamw") == ({"beta2": 0.99} if config.optim.kind == "adamw" else None)


def test_names_are_sampled_before_what_depends_on_them_and_all_else_in_the_order_of_the_file() -> None:
    orders = {tuple(sample(everything(), seed)) for seed in range(20)}
    longest = ["student.family", "loss.kind", "optim.kind", "student.mlp.width", "student.convnet.width"]
    longest += ["loss.temperature", "loss.soft_weight", "optim.learning_rate", "optim.sgd.momentum"]
    assert {tuple(key for key in longest if key in order) for order in orders} == orders
    assert len(orders) == 8


@given(SHIPPED, SEEDS)
def test_the_same_seed_samples_the_same_values_in_the_same_order(name: str, seed: int) -> None:
    first, second = (list(sample(SPACES[name], seed).items()) for _ in range(2))
    assert first == second


def test_a_space_without_ranges_is_a_run() -> None:
    space = Space.parse(BASE)
    assert sample(space) == {}
    assert space.at({}) == space.config


def test_parsing_leaves_the_tables_as_they_were() -> None:
    tables = tomllib.loads(EVERYTHING)
    before = deepcopy(tables)
    sample(Space.parse(tables))
    assert tables == before


def test_a_run_changes_nothing_in_its_space() -> None:
    space = everything()
    before = deepcopy(space.tables)
    for seed in range(8):
        space.at(sample(space, seed))
    assert space.tables == before


def test_integers_may_be_sampled_where_a_number_stands() -> None:
    space = Space.parse({**BASE, "loss": {"temperature": {"int": [1, 8]}}})
    temperature = space.at(sample(space)).loss.temperature
    assert isinstance(temperature, float)
    assert temperature in range(1, 9)


def test_an_entry_of_ones_own_has_its_parameters_when_it_is_chosen(own_module: Any) -> None:
    own_module("my_models", "def net(input_shape, classes, width: int): ...")
    student = {"family": ["mlp", "my_models:net"], "my_models:net": {"width": {"int": [3, 5]}}}
    space = Space.parse({**BASE, "student": student})
    sampled = [sample(space, seed) for seed in range(8)]
    assert {frozenset(values) for values in sampled} == {
        frozenset({"student.family"}),
        frozenset({"student.family", 'student."my_models:net".width'}),
    }
    for values in sampled:
        config = space.at(values)
        own = config.student.family == "my_models:net"
        assert config.student.tables == ({"my_models:net": {"width": values[list(values)[-1]]}} if own else {})
        assert Space.parse(tomllib.loads(tomli_w.dumps(tables_of(config)))).config == config


SEARCHABLE = [("loss", "temperature"), ("optim", "batch_size"), ("augmentation", "flip"), ("optim", "label_smoothing")]
ENDS = st.lists(st.integers(0, 40) | st.floats(0, 2), min_size=2, max_size=2, unique=True).map(sorted)


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(
    st.sampled_from(SEARCHABLE), st.sampled_from(["int", "uniform", "log", "log_int"]), ENDS, st.integers(1, 3), SEEDS
)
def test_every_sample_of_a_space_that_was_accepted_is_a_valid_run(
    path: tuple[str, str], kind: str, ends: list[float], workers: int, seed: int
) -> None:
    tables: dict[str, Any] = deepcopy(BASE) | {"optim": {"batch_size": 6}, "resources": {"workers_per_trial": workers}}
    tables.setdefault(path[0], {})[path[1]] = {kind: ends}
    try:
        space = Space.parse(tables)
    except ConfigError:
        assume(False)
    assert space.at(sample(space, seed)).optim.batch_size % workers == 0


def test_one_objective_may_stand_without_a_list() -> None:
    alone, listed = (Space.parse({**BASE, "search": {"objectives": o}}).config for o in ("val/loss", ["val/loss"]))
    assert alone == listed
