"""Every benchmark command on a page: its script exists, and takes the given options and names."""

import ast
import re
import shlex
from functools import cache
from itertools import pairwise

import pytest
from pages import PROJECT

BENCHMARKS = PROJECT / "benchmarks"
SPOKEN_OF = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")), *sorted(BENCHMARKS.glob("*.py"))]
COMMAND = re.compile(r"benchmarks/(\w+)\.py((?:\s+(?:\[?--?[\w-]+|\"[^\"`\n]+\"|[\w.='/\[\]-]+\]?))*)")
"""A script and its arguments, up to what no argument can be."""
WITHIN_CODE = re.compile(
    r"`(?:\.venv/bin/python )?(benchmarks/[^`]+)`|^ {4}(?:\.venv/bin/python )?(benchmarks/.*)$", re.M
)


def commands() -> list[tuple[str, str, str]]:
    """The page, the script and its arguments."""
    found = list[tuple[str, str, str]]()
    for page in SPOKEN_OF:
        for code in WITHIN_CODE.finditer(page.read_text()):
            for script, arguments in COMMAND.findall(code[1] or code[2]):
                found.append((page.name, script, arguments.replace("[", " ").replace("]", " ").strip()))
    return sorted(set(found))


@cache
def literals(script: str) -> frozenset[str]:
    """Every string in a script and in the sibling scripts that it imports."""
    tree = ast.parse((BENCHMARKS / f"{script}.py").read_text())
    own = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    beside = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    siblings = [name for name in beside if (BENCHMARKS / f"{name}.py").exists()]
    return frozenset(own).union(*map(literals, siblings))


def test_commands_are_found_on_the_page_of_benchmarks_and_in_the_scripts() -> None:
    pages = {page for page, _, _ in commands()}
    assert {"benchmarks.md", "experiments.md", "anytime.py"} <= pages
    assert len(commands()) > 40


@pytest.mark.parametrize(("page", "script", "arguments"), commands())
def test_a_command_on_a_page_can_be_given(page: str, script: str, arguments: str) -> None:
    assert (BENCHMARKS / f"{script}.py").exists(), page
    known = literals(script)
    for word in shlex.split(arguments):
        if word.startswith("--"):
            assert word in known | {"--help"}, f"{page}: {script}.py takes no {word}"


@pytest.mark.parametrize(("page", "script", "arguments"), commands())
def test_what_is_chosen_by_name_is_there(page: str, script: str, arguments: str) -> None:
    words = shlex.split(arguments)
    for option, name in pairwise(words):
        if option in ("--variant", "--case", "--side", "--row", "--group", "--size") and not name.startswith("-"):
            assert name.isupper() or name in literals(script), f"{page}: {script}.py knows no {name}"
