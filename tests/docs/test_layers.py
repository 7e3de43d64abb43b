"""The layers in docs/architecture.md are those that `lint-imports` checks."""

import re
import tomllib

from pages import PROJECT, read

CONTRACTS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
CHECKED = {each["containers"][0]: each["layers"] for each in CONTRACTS if each["type"] == "layers"}


def drawn() -> list[list[str]]:
    """The first column of each drawing of layers, from top to bottom."""
    section = read("docs/architecture.md").partition("## Layers")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    return [[re.split(r" {2,}", line)[0] for line in block.splitlines()] for block in blocks]


def test_the_page_draws_the_layers_that_are_checked_and_no_others() -> None:
    packages = ["distill_tune", "distill_tune.tuning", "distill_tune.distillation"]
    assert dict(zip(packages, drawn(), strict=True)) == CHECKED
