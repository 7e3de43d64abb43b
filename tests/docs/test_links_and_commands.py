"""The links of all pages resolve, their commands parse, and their TOML is a valid space."""

import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PROJECT, anchors, pages, read, without_code

from distill_tune.config import Space

every_page = pytest.mark.parametrize("page", pages())


@every_page
def test_links_between_files_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(read(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (PROJECT / page).parent / path if path else PROJECT / page
        assert linked.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(str(linked.resolve().relative_to(PROJECT))), f"{page} links to {target}"


def commands(page: str) -> Iterator[list[str]]:
    """The words of every `python -m distill_tune.NAME ...` in code; a bare name in a sentence is no command."""
    text = read(page)
    indented = [line for line in text.splitlines() if line.startswith("    ")]
    fenced = [line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`([^`\n]+ [^`\n]+ [^`\n]+ [^`\n]+)`(?!`)", without_code(text))
    for line in (*indented, *fenced, *inline):
        if "python -m distill_tune." in line:
            yield shlex.split(line[line.index("python -m distill_tune.") :].partition(" # ")[0])


@every_page
def test_commands_are_understood(page: str) -> None:
    for _, _, module, *arguments in commands(page):
        importlib.import_module(module).parser().parse_args([each.strip("[]") for each in arguments])


def test_the_readme_has_a_command_of_each_kind() -> None:
    assert {words[2] for words in commands("README.md")} == {
        f"distill_tune.{name}" for name in ("search", "train", "predict", "report")
    }


@every_page
def test_toml_of_a_page_is_a_space_that_can_be_searched(page: str, example: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", read(page), flags=re.MULTILINE | re.DOTALL):
        assert Space.parse(tomllib.loads(block)).ranges
