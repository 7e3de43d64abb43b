"""Custom entries, found by a dotted path: checked like any other, or why they cannot be found."""

from collections.abc import Callable
from typing import Any

import pytest
from refusals import KINDS, check, parse, refused


def test_ones_own_family_is_checked_like_any_other(own_module: Callable[[str, str], None]) -> None:
    own_module("my_models", "def net(input_shape, classes, width: int, deep: bool = False): ...")
    chosen = "student.family = ['mlp', 'my_models:net']\n"
    table = 'student."my_models:net"'
    assert parse(f"{chosen}{table} = {{ width = 3 }}").config.student.tables == {"my_models:net": {"width": 3}}
    check(chosen, f"{table}.width: this key is required.")
    check(
        f"{chosen}{table} = {{ width = 3, wdith = 3 }}",
        f"{table}.wdith: unknown key. Did you mean 'width'? Known: width, deep.",
    )
    check(
        f"{chosen}{table} = {{ width = {{ unifrom = [1, 3] }} }}",
        f"{table}.width: 'unifrom' is no kind of range. Did you mean 'uniform'? {KINDS}",
    )
    check(
        f"{chosen}{table} = {{ width = {{ uniform = [1.5, 3.5] }} }}",
        f"{table}.width: must be an integer, but got 1.5. Write {{ int = [2, 3] }}.",
    )


@pytest.mark.parametrize("option", ["inputs", "points", "choice", "log"])
def test_the_only_option_of_ones_own_family_may_be_called_like_a_kind_of_range(
    own_module: Callable[[str, str], None], option: str
) -> None:
    own_module("my_models", f"def net(input_shape, classes, {option}: list[int]): ...")
    tables = parse(f"student.family = 'my_models:net'\nstudent.\"my_models:net\".{option} = [32, 64]").config
    assert tables.student.tables == {"my_models:net": {option: [32, 64]}}


def test_a_teacher_of_ones_own_family_takes_its_options(own_module: Callable[[str, str], None]) -> None:
    own_module("my_models", "def net(input_shape, classes, width: int): ...")
    table = 'teacher."my_models:net"'
    check("teacher.family = 'my_models:net'", f"{table}.width: this key is required.")
    assert parse(f"teacher.family = 'my_models:net'\n{table}.width = 3").config.teacher.tables


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import absent_thing", "ModuleNotFoundError: No module named 'absent_thing' ({path}, line 1)."),
        ("import absent.thing", "ModuleNotFoundError: No module named 'absent' ({path}, line 1)."),
        ("\n1 / 0", "ZeroDivisionError: division by zero ({path}, line 2)."),
        ("raise SystemExit(0)", "SystemExit: 0 ({path}, line 1)."),
        ("x = = 1", "SyntaxError: invalid syntax (broken.py, line 1)."),
    ],
)
def test_a_module_that_cannot_be_imported_says_why_and_where(
    own_module: Callable[[str, str], None], tmp_path: Any, text: str, reason: str
) -> None:
    own_module("broken", text)
    told = reason.format(path=tmp_path / "broken.py")
    check("student.family = 'broken:net'", f"student.family: 'broken:net': broken cannot be imported: {told}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my_models:nte", "'my_models:nte': module 'my_models' has no 'nte'. Did you mean 'my_models:net'?"),
        ("my_models:", "'my_models:': must be written 'package.module:name'."),
        (":net", "':net': must be written 'package.module:name'."),
        ("my-models:net", "'my-models:net': must be written 'package.module:name'."),
        (
            "my_models:number",
            "'my_models:number' is no student family: it must be a class that inherits from "
            "distill_tune.students:Student.",
        ),
        (
            "my_models:Loss",
            "'my_models:Loss' is no student family: it must be a class that inherits from "
            "distill_tune.students:Student.",
        ),
    ],
)
def test_a_dotted_path_that_leads_to_no_family(own_module: Callable[[str, str], None], name: str, said: str) -> None:
    own_module("my_models", "from distill_tune.distillation.losses import Loss\nnumber = 3\ndef net(): ...")
    check(f"student.family = '{name}'", f"student.family: {said}")


@pytest.mark.parametrize(
    ("name", "but_is"),
    [
        ("instance", "but is an object of class Linear; name what makes one."),
        ("partial", "but is an object of class partial; name what makes one."),
        ("builtin", "but is <class 'dict'>, which does not say what it takes."),
    ],
)
def test_something_that_can_be_called_but_says_nothing_of_its_options_is_no_family(
    own_module: Callable[[str, str], None], name: str, but_is: str
) -> None:
    text = "import functools, torch\ndef net(input_shape, classes): ...\nbuiltin = dict\n"
    own_module("my_models", f"{text}instance = torch.nn.Linear(2, 2)\npartial = functools.partial(net)")
    rule = f"'my_models:{name}': must be a function or an nn.Module class"
    check(f"student.family = ['mlp', 'my_models:{name}']", f"student.family: {rule}, {but_is}")


def test_a_module_that_does_not_exist() -> None:
    said = refused("student.family = 'no_such_module.at_all:net'")
    assert "there is no module 'no_such_module' in " in said


@pytest.mark.parametrize("value", ["2026-11-25", "2026-11-25T12:00:00", "12:00:00", "inf", "-inf", "nan"])
@pytest.mark.parametrize(("place", "key"), [("x = {}", "x"), ("x = [1, [{}]]", "x[1][0]"), ("x.below = {}", "x.below")])
@pytest.mark.parametrize("table", ['student."my_models:net"', "teacher.torch.arguments", "teacher.timm.arguments"])
def test_a_value_that_no_record_of_the_search_could_hold(
    own_module: Callable[[str, str], None], table: str, place: str, key: str, value: str
) -> None:
    own_module("my_models", "def net(input_shape, classes, **options): ...")
    chosen = "student.family = 'my_models:net'\nteacher.family = 'mlp'\n"
    chosen += "teacher.torch.factory = 'my_models:net'\nteacher.timm.model = 'resnet18'\n"
    assert parse(f"{chosen}{table}.{place.format(3)}")
    rule = "must be a finite number, text, true or false, or lists and tables of them"
    check(f"{chosen}{table}.{place.format(value)}", f"{table}.{key}: {rule}, but got {value.replace('T', ' ')}.")


def test_what_is_nested_too_deeply_is_refused_and_what_is_not_is_kept(own_module: Callable[[str, str], None]) -> None:
    own_module("my_models", "def net(input_shape, classes, **options): ...")
    chosen = "student.family = 'my_models:net'\nstudent.'my_models:net'.x = "
    deepest = 29  # levels below section, name and key
    assert parse(f"{chosen}{'[' * deepest}{']' * deepest}")
    said = 'student."my_models:net".x: must not be nested more than 32 deep; flatten it.'
    check(f"{chosen}{'[' * deepest}[3]{']' * deepest}", said)
    check(f"{chosen}{'{a=' * 99}3{'}' * 99}", said)
