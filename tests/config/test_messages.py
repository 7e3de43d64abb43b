"""Any configuration error is one line, with keys and values as TOML writes them."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from refusals import SMALLEST, refused

from distill_tune.config import Config, Space
from distill_tune.config.messages import BrokenRule, dotted, shown
from distill_tune.config.sections import SECTIONS
from distill_tune.errors import ConfigError


def test_a_value_with_line_breaks_or_of_great_length_stays_one_short_line() -> None:
    said = refused(f'optim.schedule = "a\\nb{"c" * 5000}"')
    assert "\n" not in said
    assert len(said) < 250


# Any value in any key


KEYS = [(name, key) for name, model in SECTIONS.items() for key in [*model.model_fields, "mlp", "shift", "sgd", "zzz"]]
scalars = st.one_of(
    st.booleans(), st.integers(), st.integers(0, 300), st.floats(), st.text(max_size=8), st.dates(),
    st.sampled_from(["mlp", "labels", "convnet", "digits", "10m", "a:b", 10**400]),
)  # fmt: skip
names = st.sampled_from(["choice", "int", "log", "log_int", "uniform", "unifrom", "width", "widths", "momentum", "x y"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2), max_leaves=6
)


def said_of(tables: dict[str, Any]) -> str:
    """The error for the tables; empty if they are a space."""
    try:
        assert isinstance(Space.parse(tables).config, Config)
    except ConfigError as error:
        return str(error)
    return ""


@given(st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=3))
def test_whatever_stands_in_a_key_the_answer_is_a_space_or_one_line(changes: dict[tuple[str, str], Any]) -> None:
    tables: dict[str, Any] = tomllib.loads(SMALLEST)
    for (section, key), value in changes.items():
        tables.setdefault(section, {})[key] = value
    said = said_of(tables)
    assert len(said.splitlines()) <= 1


@given(st.dictionaries(st.sampled_from(["data", "loss", "zzz", "student"]), values, max_size=3))
def test_whatever_stands_in_a_section_the_answer_is_a_space_or_one_line(sections: dict[str, Any]) -> None:
    assert len(said_of(tomllib.loads(SMALLEST) | sections).splitlines()) <= 1


def test_keys_are_quoted_where_toml_needs_it() -> None:
    assert dotted(("student", "my_models:net", "widths", 1)) == 'student."my_models:net".widths[1]'
    assert dotted(("a-b", 'say "x"')) == r'a-b."say \"x\""'


def test_values_are_shown_as_toml() -> None:
    assert shown({"choice": [True, 1.5, "a", {"x y": []}]}) == "{ choice = [true, 1.5, 'a', { \"x y\" = [] }] }"


def test_a_broken_rule_says_its_key_from_wherever_it_is_seen() -> None:
    assert str(BrokenRule(("width",), "must be odd.").within("student", "mlp")) == "student.mlp.width: must be odd."
