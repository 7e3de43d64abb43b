"""`--set KEY=VALUE`, which reaches every key, and the file that it overrides."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from distill_tune.config import Config, Space, load_space, read_toml, tables_of
from distill_tune.config.load import apply_setting
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice, Interval
from distill_tune.errors import ConfigError

PROJECT = Path(__file__).parents[2]
DIGITS = PROJECT / "search_spaces" / "digits.toml"


def with_settings(*settings: str) -> Space:
    return load_space(DIGITS, list(settings))


@pytest.mark.parametrize(
    ("setting", "tables"),
    [
        ("loss.temperature=4", {"loss": {"temperature": 4}}),
        (" loss.temperature = 4.5 ", {"loss": {"temperature": 4.5}}),
        ("optim.learning_rate=1e-3", {"optim": {"learning_rate": 1e-3}}),
        ("search.trials=1_000", {"search": {"trials": 1000}}),
        ("teacher.trust=true", {"teacher": {"trust": True}}),
        ("loss.kind=labels", {"loss": {"kind": "labels"}}),
        ("loss.kind='labels'", {"loss": {"kind": "labels"}}),
        ("search.time=10m", {"search": {"time": "10m"}}),
        ("data.path=some folder/a=b#c.csv", {"data": {"path": "some folder/a=b#c.csv"}}),
        ("data.path=2024-01-01", {"data": {"path": "2024-01-01"}}),
        ("student.family=my_models:net", {"student": {"family": "my_models:net"}}),
        ('student."my_models:net".width=3', {"student": {"my_models:net": {"width": 3}}}),
        ("student.family=['mlp', 'convnet']", {"student": {"family": ["mlp", "convnet"]}}),
        ("loss.temperature={ log = [1, 20] }", {"loss": {"temperature": {"log": [1, 20]}}}),
        ("loss.temperature.log=[1, 20]", {"loss": {"temperature": {"log": [1, 20]}}}),
        ("loss={ kind = 'labels' }", {"loss": {"kind": "labels"}}),
    ],
)
def test_key_and_value_are_toml_and_a_bare_word_is_a_string(setting: str, tables: dict[str, Any]) -> None:
    found: dict[str, Any] = {}
    apply_setting(found, setting)
    assert found == tables


def settings_of(tables: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from settings_of(value, (*path, key))
        else:
            yield f"{dotted((*path, key))}={tomli_w.dumps({'value': value}).partition('=')[2]}"


def test_every_key_of_a_run_can_be_set() -> None:
    tables = tables_of(with_settings().config)
    found: dict[str, Any] = {}
    for setting in settings_of(tables):
        apply_setting(found, setting)
    assert found == tables


@pytest.mark.parametrize(
    ("setting", "left"),
    [
        ("loss.also={}", {}),
        ("loss={ also = {} }", {}),
        ("loss.also={ sp = 2.0 }", {"sp": 2.0, "rkd": {"log": [0.1, 1.0]}}),
        ("loss.also.rkd={}", {"sp": 1.0, "rkd": {}}),
        ("loss.also.rkd={ uniform = [0, 1] }", {"sp": 1.0, "rkd": {"uniform": [0, 1]}}),
    ],
)
def test_a_table_is_laid_over_the_one_that_is_there_and_an_empty_one_empties_it(
    setting: str, left: dict[str, Any]
) -> None:
    tables = {"loss": {"kind": "dkd", "also": {"sp": 1.0, "rkd": {"log": [0.1, 1.0]}}}, "optim": {"kind": "sgd"}}
    apply_setting(tables, setting)
    assert tables == {"loss": {"kind": "dkd", "also": left}, "optim": {"kind": "sgd"}}


@pytest.mark.parametrize(
    ("options", "setting", "left"),
    [
        ({"width": 32, "log": 1}, "log=2", {"width": 32, "log": 2}),
        ({"log": 1}, "width=16", {"log": 1, "width": 16}),
        ({"log": 1}, "log={ log = [1, 9] }", {"log": {"log": [1, 9]}}),
        ({"width": {"log": [1, 9]}}, "width={ uniform = [1, 9] }", {"width": {"uniform": [1, 9]}}),
    ],
)
def test_options_of_ones_own_part_that_are_called_as_a_range_is_are_options(
    options: dict[str, Any], setting: str, left: dict[str, Any]
) -> None:
    tables: dict[str, Any] = {"student": {"my:net": options}}
    apply_setting(tables, f'student."my:net".{setting}')
    assert tables == {"student": {"my:net": left}}


def test_so_are_those_of_a_data_source_of_ones_own() -> None:
    tables: dict[str, Any] = {"data": {"my:Rows": {"int": 3}}}
    apply_setting(tables, 'data."my:Rows".path=there')
    assert tables == {"data": {"my:Rows": {"int": 3, "path": "there"}}}


def test_the_weight_of_a_further_term_of_ones_own_is_a_range_as_any_other() -> None:
    tables: dict[str, Any] = {"loss": {"also": {"my:Term": {"log": [0.1, 1.0]}}}}
    apply_setting(tables, 'loss.also."my:Term"={ uniform = [0, 1] }')
    assert tables == {"loss": {"also": {"my:Term": {"uniform": [0, 1]}}}}


def test_further_terms_can_be_taken_out_together() -> None:
    assert with_settings("loss.also.sp=1.0", "loss.also={}").config.loss.also == {}


def test_a_value_takes_the_place_of_a_range() -> None:
    space = with_settings("loss.temperature=4")
    assert ("loss", "temperature") not in space.ranges
    assert space.config.loss.temperature == 4


def test_a_range_takes_the_place_of_a_value() -> None:
    space = with_settings("optim.batch_size={ choice = [32, 64] }")
    assert space.ranges["optim", "batch_size"] == Choice((32, 64))


def test_a_range_takes_the_place_of_a_range() -> None:
    space = with_settings("loss.temperature={ uniform = [2, 3] }", "student.family=['mlp']")
    assert space.ranges["loss", "temperature"] == Interval(2.0, 3.0, integer=False, log=False)
    assert space.ranges["student", "family"] == Choice(("mlp",))


def test_a_name_takes_the_place_of_a_list_of_names() -> None:
    assert ("student", "family") not in with_settings("student.family=convnet").ranges


def test_a_key_is_set_beside_others_and_the_last_word_counts() -> None:
    space = with_settings("teacher.train.epochs=3", "teacher.train.epochs=5")
    assert space.config.teacher.tables["train"]["epochs"] == 5
    assert space.config.teacher.tables["train"]["weight_decay"] == 0.05


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loss", "--set loss: must be KEY=VALUE, such as loss.temperature=4."),
        ("loss.temperature=", "--set loss.temperature=: must be KEY=VALUE, such as loss.temperature=4."),
        ("=4", "--set =4: must be KEY=VALUE, such as loss.temperature=4."),
        ("temperature=4", "temperature: a key must stand in a section. Did you mean loss.temperature?"),
        ("loss.temperature.x=1", "loss.temperature: must be a number, but got { x = 1 }. 'x' is no kind of range."),
        ("loss.temperature=-3", "loss.temperature: must be greater than 0, but got -3."),
        ("student.family=[mlp, convnet]", "(Invalid value (at line 1, column 10)); strings need quotes."),
        ("student.my_models:net.width=3", "'student.my_models:net.width' is no key; write section.key, such as"),
        ("student.my_models:net.width=3", "a part with a colon in it needs quotes."),
        ("[search]\ntrials=3", "no key"),
        ("#loss.temperature=4", "'#loss.temperature' is a comment; write section.key, such as loss.temperature;"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_refused(setting: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(setting)
    assert said in str(caught.value)
    assert str(DIGITS) not in str(caught.value)


def test_what_is_no_number_in_toml_is_not_told_to_be_one_without_quotes() -> None:
    with pytest.raises(ConfigError, match=r"^search\.seed: must be an integer, but got '007'\.$"):
        with_settings("search.seed=007")
    with pytest.raises(ConfigError, match=r"but got '7'\. Write 7 without quotes\.$"):
        with_settings("search.seed='7'")


@pytest.mark.parametrize(
    ("setting", "cure"),
    [
        ("data.path=2024", "Write --set \"data.path='2024'\"."),
        ("teacher.path=1_000", "Write --set \"teacher.path='1_000'\"."),
        ("export.formats=[3]", "Write '3' in quotes."),
        ("optim.learning_rate=.01", "Write 0.01."),
        ("optim.learning_rate=1.", "Write 1.0."),
    ],
)
def test_the_way_out_is_one_that_a_shell_lets_through(setting: str, cure: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_settings(setting)
    assert str(caught.value).endswith(f". {cure}")
    if "--set" in cure:
        section, key, value = re.split("[.=]", setting)
        *_, written = shlex.split(cure.removesuffix("."))
        assert getattr(getattr(with_settings(written).config, section), key) == value


def test_so_is_that_of_a_key_that_has_quotes_itself(own_module: Any) -> None:
    own_module("my_models", "def net(input_shape, classes, name: str = 'a'): ...")
    family, setting = "student.family='my_models:net'", 'student."my_models:net".name=3'
    with pytest.raises(ConfigError) as caught:
        with_settings(family, setting)
    cure = """Write --set 'student."my_models:net".name="3"'."""
    assert str(caught.value).endswith(f". {cure}")
    *_, written = shlex.split(cure.removesuffix("."))
    assert with_settings(family, written).config.student.tables["my_models:net"] == {"name": "3"}


def test_what_the_file_has_wrong_is_said_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("data.source = 'digits'\nstudent.family = 'mpl'\n")
    with pytest.raises(ConfigError) as caught:
        load_space(path, ["loss.temperature=4"])
    assert str(caught.value).startswith(f"{path}: student.family: no student family is named 'mpl'.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"data.source = 'digits", "is no valid TOML: "),
        (b"a,b,c\n1,2,3\n", "is no valid TOML: "),
        (b"PK\x03\x04\xff\xfe", "is no text file (a TOML configuration is UTF-8 text)."),
        (b"a = 1\na = 2", "is no valid TOML: Cannot overwrite a value (at end of document)."),
    ],
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_toml(path)
    assert f"{path}: {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("run", ["run.toml", "best/run.toml"])
def test_a_folder_that_is_named_in_the_place_of_its_run_is_told_so(run: str, tmp_path: Path) -> None:
    (tmp_path / run).parent.mkdir(exist_ok=True)
    (tmp_path / run).touch()
    with pytest.raises(ConfigError, match=rf"cannot be read \(Is a directory\); name its {run}\."):
        load_space(tmp_path, [])


@pytest.mark.parametrize(("name", "said"), [("gone.toml", "no such file"), (".", "cannot be read (Is a directory)")])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_toml(tmp_path / name)
    assert said in str(caught.value)


def test_a_file_may_open_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + DIGITS.read_bytes())
    assert load_space(path, []) == load_space(DIGITS, [])


def test_the_search_toml_of_a_result_can_be_searched_again(tmp_path: Path) -> None:
    path = tmp_path / "search.toml"
    path.write_text(DIGITS.read_text() + "\n[made_with]\npython = '3.11'\n")
    assert load_space(path, []) == load_space(DIGITS, [])


def test_the_smallest_configuration_has_defaults_for_all_else(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("data.source = 'digits'\nstudent.family = 'mlp'\n")
    assert isinstance(load_space(path, []).config, Config)
