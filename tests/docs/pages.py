"""Reading the pages: tables under headings, code, links."""

import re
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[2]
Cells = dict[str, str]


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


@cache
def pages() -> list[str]:
    """Every page of the repository."""
    hidden = (".", "build", "data", "results", "venv")
    found = (path.relative_to(PROJECT) for path in PROJECT.rglob("*.md"))
    return sorted(str(path) for path in found if not path.parts[0].startswith(hidden))


@cache
def tables_under_headings(page: str) -> dict[str, list[Cells]]:
    """Map each heading to the rows of the tables below it, as dictionaries by column."""
    found: dict[str, list[Cells]] = {}
    heading, head = "", None
    for line in without_code(read(page)).splitlines():
        if line.startswith("#"):
            heading, head = line.lstrip("#").strip().strip("`"), None
            assert heading not in found, f"{page} has two headings {heading!r}"
            found[heading] = []
        elif not line.startswith("|"):
            head = None
        elif head is None:
            head = cells_of(line)
        elif not set(line) <= set("|- "):
            found[heading].append(dict(zip(head, cells_of(line), strict=True)))
    return found


def rows_of(page: str, heading: str, head: str) -> list[Cells]:
    """The rows of the tables below a heading that have this column."""
    return [row for row in tables_under_headings(page)[heading] if head in row]


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def without_code(markdown: str) -> str:
    return re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def first_name(cell: str) -> str:
    return names_in(cell)[0]


def code_block(page: str, name: str) -> str:
    """The fenced block of a page that opens with a comment naming this file."""
    (block,) = re.findall(rf"^```\w+\n(# {re.escape(name)}\n.*?)^```", read(page), flags=re.MULTILINE | re.DOTALL)
    return str(block)


def anchor_of(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(page: str) -> set[str]:
    return {anchor_of(each) for each in re.findall(r"^#+ (.*)$", without_code(read(page)), flags=re.MULTILINE)}
