"""The configuration pages match the code: every section, key, option, default, bound and range."""

import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pages import Cells, anchor_of, first_name, names_in, pages, read, rows_of, tables_under_headings

from distill_tune.config import load_space
from distill_tune.config.choosing import Choosing
from distill_tune.config.ranges import KINDS
from distill_tune.config.sections import SEARCHED, SECTIONS
from distill_tune.config.shipped import OF_ALL_LOSSES
from distill_tune.registry import AUGMENTATIONS, CORRUPTIONS, FORMATS, Options

CONFIGURATION = "docs/configuration.md"
DOCS = [page for page in pages() if page.startswith("docs/")]


@dataclass(frozen=True)
class Part:
    """A section, or the options of a registered entry, as defined in the code."""

    heading: str
    model: type[Options]


def parts() -> Iterator[Part]:
    for section, model in SECTIONS.items():
        yield Part(f"[{section}]", model)
        if not issubclass(model, Choosing):
            continue
        for field, registry in model.chooses.items():
            if (section, field) != ("teacher", "family"):  # those are the student's
                yield from (Part(f"[{section}.{name}]", registry.get(name)) for name in registry.names)


PARTS = {part.heading: part.model for part in parts()}
FIELDS = [(heading, key) for heading, model in PARTS.items() for key in model.model_fields]
every_part = pytest.mark.parametrize("heading", PARTS)
every_field = pytest.mark.parametrize(("heading", "key"), FIELDS)


def tables_in(page: str) -> list[str]:
    """The headings of a page that name tables of the configuration: `[data]`, `[data.csv]`."""
    return [heading for heading in tables_under_headings(page) if heading.startswith("[")]


@cache
def page_of(heading: str) -> str:
    """The one page that has this heading."""
    (page,) = [page for page in DOCS if heading in tables_in(page)]
    return page


@cache
def documented(heading: str) -> dict[str, Cells]:
    return {first_name(row["key"]): row for row in tables_under_headings(page_of(heading))[heading]}


def rules(schema: dict[str, Any]) -> set[str]:
    """What a JSON schema allows, in the words of the page."""
    words = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "array": "list"}
    bounds = {"minimum": ">=", "maximum": "<=", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    chosen = schema.get("enum", [schema["const"]] if "const" in schema else [])
    said = {f"`{value!r}`".replace("'", '"') for value in chosen}
    said |= {words[schema["type"]]} if schema.get("type") in words and not chosen else set()
    said |= {f"{sign} {schema[bound]}" for bound, sign in bounds.items() if bound in schema}
    inner = [*schema.get("anyOf", []), *filter(None, [schema.get("items")])]
    return said.union(*(rules(each) for each in inner))


def test_there_is_one_heading_for_every_section_and_entry_and_for_nothing_else() -> None:
    assert sorted(heading for page in DOCS for heading in tables_in(page)) == sorted(PARTS)


def test_the_sections_are_on_one_page_which_begins_with_a_list_of_them() -> None:
    listed = [first_name(row["section"]) for row in rows_of(CONFIGURATION, "The configuration", "section")]
    assert listed == [heading for heading in tables_in(CONFIGURATION) if "." not in heading]
    assert sorted(listed) == sorted(f"[{section}]" for section in SECTIONS)


@pytest.mark.parametrize("page", [page for page in DOCS if tables_in(page)])
def test_a_page_opens_with_links_to_all_that_it_has_and_to_the_sections(page: str) -> None:
    opening = read(page).partition("\n## ")[0]
    for heading in tables_in(page):
        assert f"](#{anchor_of(heading)})" in opening, heading
    assert page == CONFIGURATION or "](configuration.md#" in opening


@every_part
def test_a_table_has_every_key_and_no_key_that_does_not_exist(heading: str) -> None:
    keys = AUGMENTATIONS.names if heading == "[augmentation]" else PARTS[heading].model_fields
    assert sorted(documented(heading)) == sorted(keys)


@every_part
def test_what_has_no_options_says_so(heading: str) -> None:
    text = read(page_of(heading)).partition(f"# `{heading}`\n")[2].partition("\n#")[0]
    assert ("No options." in text) == (not documented(heading))


@every_field
def test_a_default_is_the_models(heading: str, key: str) -> None:
    field, said = PARTS[heading].model_fields[key], documented(heading)[key]["default"]
    if field.is_required():
        assert said == "required"
        return
    default = field.get_default(call_default_factory=True)
    if default is None:
        assert said == "-"
        return
    value = tomllib.loads(f"value = {first_name(said)}")["value"]
    assert (value, type(value)) == (default, type(default))


@every_field
def test_what_is_allowed_names_the_type_the_bounds_and_every_choice(heading: str, key: str) -> None:
    allowed = documented(heading)[key]["allowed"].replace("2^32", str(2**32))
    for rule in rules(PARTS[heading].model_json_schema()["properties"][key]):
        assert rule in allowed


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_an_amount_has_its_bounds_and_does_nothing_by_default(name: str) -> None:
    row = documented("[augmentation]")[name]
    assert first_name(row["default"]) == "0"
    for rule in rules(AUGMENTATIONS.get(name).model_json_schema()["properties"]["amount"]):
        assert rule in row["allowed"]


@pytest.mark.parametrize("section", [name for name, model in SECTIONS.items() if issubclass(model, Choosing)])
def test_a_key_that_chooses_lists_what_there_is_to_choose(section: str) -> None:
    model = SECTIONS[section]
    assert issubclass(model, Choosing)
    for field, registry in model.chooses.items():
        assert names_in(documented(f"[{section}]")[field]["allowed"]) == registry.names


def test_every_format_is_listed_with_its_file_and_the_packages_that_it_takes() -> None:
    kinds = {name: FORMATS.get(name)() for name in FORMATS.names}
    assert names_in(documented("[export]")["formats"]["allowed"]) == FORMATS.names
    rows = rows_of("docs/results.md", "Without this package", "file")
    told = {
        first_name(row["name"]): (first_name(row["file"]), row["written if there is"], row["checked if there is"])
        for row in rows
    }
    assert told == {name: (each.file, each.writes_with or "-", each.runs_with or "-") for name, each in kinds.items()}


def test_every_kind_of_range_is_shown_and_can_be_read() -> None:
    rows = rows_of(CONFIGURATION, "Ranges", "range")
    shown = [tomllib.loads(f"value = {first_name(row['range'])}")["value"] for row in rows]
    assert sorted(next(iter(each)) for each in shown) == sorted(KINDS)


def test_every_range_that_is_shipped_is_listed() -> None:
    rows = tables_under_headings("docs/losses.md")["Ranges that are shipped"]
    listed = {first_name(row["key"]): tomllib.loads(f"x = {first_name(row['shipped range'])}")["x"] for row in rows}
    own = {f"{part.heading[1:-1]}.{key}": written for part in parts() for key, written in part.model.ranges.items()}
    assert listed == {f"loss.{key}": written for key, written in OF_ALL_LOSSES.items()} | own


def test_the_sections_that_may_have_ranges_are_named() -> None:
    sentence = re.search(r"Ranges may stand in (.*?);", read(CONFIGURATION))
    assert sentence
    assert names_in(sentence[1]) == [f"[{name}]" for name in SEARCHED]


def test_every_corruption_is_listed_with_what_it_is_for() -> None:
    listed = rows_of("docs/searching.md", "Corruptions", "corruption")
    rows = {first_name(row["corruption"]): row["for"].split(", ") for row in listed}
    entries = {name: CORRUPTIONS.get(name) for name in CORRUPTIONS.names}
    assert rows == {
        name: ["images"] * entry.for_images + ["tables"] * entry.for_tables for name, entry in entries.items()
    }


@pytest.mark.parametrize("name", ["search", "train", "predict", "report"])
def test_every_option_of_a_command_is_listed(name: str) -> None:
    parser = importlib.import_module(f"distill_tune.{name}").parser()
    lines = [line for line in parser.format_help().splitlines() if re.match(r"  -+\w", line)]
    options = {re.findall(r"--[a-z][\w-]*", line)[0] for line in lines}
    rows = rows_of(CONFIGURATION, "The command line", "command")
    row = next(row for row in rows if f"distill_tune.{name}" in row["command"])
    assert set(names_in(row["arguments"])) == options - {"--help", "--version"}


def test_settings_that_are_shown_can_be_laid_over_the_example_of_ones_own_parts(example: Path) -> None:
    lines = [line for line in read(CONFIGURATION).splitlines() if line.startswith("    --set")]
    assert lines
    for line in lines:
        words = shlex.split(re.split(r"\s{3,}", line.strip())[0])  # what follows is a comment
        load_space(example / "my_space.toml", [word for word in words if word != "--set"])
