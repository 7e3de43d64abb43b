"""What a search samples for its losses: temperature and weight, their options, and further terms."""

import tomllib

import pytest
import tomli_w
from hypothesis import given
from sampled import BASE, SEEDS, sample, value_at

from distill_tune.config import Space, tables_of
from distill_tune.errors import ConfigError
from distill_tune.registry import LOSSES


@pytest.mark.parametrize("kind", LOSSES.names)
def test_temperature_and_weight_exist_where_a_teacher_is_used(kind: str) -> None:
    of_temperature = {"temperature", "temperature_end"}
    of_teacher = of_temperature | {"soft_weight", "soft_weight_end", "schedule"}
    loss = {"kind": kind, "temperature": {"log": [2, 3]}, "temperature_end": {"log": [1, 2]}, "soft_weight": 0.5}
    loss |= {"soft_weight_end": {"uniform": [0, 1]}, "schedule": {"choice": ["linear", "cosine"]}}
    space = Space.parse({**BASE, "loss": loss})
    entry = LOSSES.get(kind)
    expected = of_teacher if entry.uses_teacher else set()
    expected = expected if entry.uses_temperature else expected - of_temperature
    values = sample(space)
    assert set(values) == {f"loss.{key}" for key in expected - {"soft_weight"}}
    assert of_teacher & set(tables_of(space.at(values))["loss"]) == expected


def test_a_list_of_names_is_enough_to_search_the_losses() -> None:
    ranges = {"temperature": {"log": [1.0, 20.0]}, "soft_weight": {"uniform": [0.0, 1.0]}}
    space = Space.parse({**BASE, "loss": {"kind": LOSSES.names, **ranges}})
    chosen = {}
    for seed in range(100):
        config = space.at(sample(space, seed))
        chosen[config.loss.kind] = config.loss.chosen("kind")
    assert sorted(chosen) == LOSSES.names
    assert all(chosen[name] == LOSSES.get(name)() for name in LOSSES.names)


def test_the_options_of_a_loss_are_searched_where_it_is_chosen() -> None:
    options = {"dkd": {"non_target_weight": {"log": [0.5, 8.0]}}, "sp": {"scale": {"log": [1.0, 100.0]}}}
    space = Space.parse({**BASE, "loss": {"kind": ["dkd", "sp"], **options}})
    sampled = {frozenset(sample(space, seed)) for seed in range(20)}
    assert sampled == {frozenset({"loss.kind", f"loss.{key}"}) for key in ("dkd.non_target_weight", "sp.scale")}


ALSO = {
    "kind": ["soft_targets", "hint", "labels"],
    "temperature": {"log": [1.0, 20.0]},
    "soft_weight": {"uniform": [0.0, 1.0]},
    "also": {"hint": {"log": [0.01, 10.0]}, "attention": {"choice": [0.0, 1.0]}, "dkd": 0.0},
    "hint": {"student_layers": {"choice": [["1"], ["2"]]}},
    "attention": {"scale": {"log": [1.0, 100.0]}},
}


@given(SEEDS)
def test_a_further_term_exists_where_it_has_a_weight_and_is_not_the_kind_itself(seed: int) -> None:
    space = Space.parse({**BASE, "loss": ALSO})
    values = sample(space, seed)
    kind, attention = values["loss.kind"], values["loss.also.attention"]
    expected = {"loss.kind", "loss.also.attention", "loss.hint.student_layers"}  # hint is present either way
    expected |= {"loss.also.hint"} if kind != "hint" else set()
    expected |= {"loss.attention.scale"} if attention else set()
    expected |= {"loss.soft_weight"} if kind != "labels" else set()
    expected |= {"loss.temperature"} if kind == "soft_targets" else set()
    assert set(values) == expected
    loss = space.at(values).loss
    assert list(loss.added) == [name for name in ("hint", "attention") if values.get(f"loss.also.{name}")]
    assert {key: value_at(tables_of(space.at(values)), key) for key in values} == values
    assert Space.parse(tomllib.loads(tomli_w.dumps(tables_of(space.at(values))))).config.loss == loss


def test_weights_are_sampled_before_what_hangs_on_them_whatever_the_order_of_the_file() -> None:
    space = Space.parse({**BASE, "loss": dict(reversed(ALSO.items()))})
    for seed in range(20):
        names = list(sample(space, seed))
        if "loss.attention.scale" in names:
            assert names.index("loss.also.attention") < names.index("loss.attention.scale")
    assert space.kinds == ["soft_targets", "hint", "labels"]
    assert space.added == ["hint", "attention"]


def test_a_term_that_reads_the_temperature_brings_it_back() -> None:
    space = Space.parse({**BASE, "loss": {"kind": "hint", "temperature": {"log": [1.0, 9.0]}, "also": {"dkd": 1.0}}})
    assert set(sample(space)) == {"loss.temperature"}
    alone = Space.parse({**BASE, "loss": {"kind": "labels", "temperature": {"log": [1.0, 9.0]}, "also": {"dkd": 1.0}}})
    config = alone.at(sample(alone))
    assert tables_of(config)["loss"].keys() == {"kind", "temperature", "schedule", "also"}


@pytest.mark.parametrize(
    ("name", "weights"),
    [(n, LOSSES.get(n).weights) for n in LOSSES.names if LOSSES.get(n).weights],
)
def test_weights_that_leave_nothing_of_a_term_are_refused(name: str, weights: tuple[str, ...]) -> None:
    nothing = dict.fromkeys(weights, 0.0)
    with pytest.raises(ConfigError, match=rf"loss.{name}.{weights[0]}: must not be 0.*: nothing would be left"):
        Space.parse({**BASE, "loss": {"kind": name, name: nothing}})
    assert Space.parse({**BASE, "loss": {"kind": name, name: nothing | {weights[-1]: 0.1}}})
