"""Small configurations, and the errors for those that are refused."""

import pickle
import re
import tomllib
from typing import Any

import pytest

from distill_tune.config import Space
from distill_tune.errors import ConfigError

SMALLEST = "data.source = 'digits'\nstudent.family = 'mlp'\n"
KINDS = "Known: choice, int, log, log_int, uniform."


def parse(lines: str) -> Space:
    """The smallest configuration with `lines` laid over it."""
    tables: dict[str, Any] = tomllib.loads(SMALLEST)
    for section, table in tomllib.loads(lines).items():
        both = isinstance(table, dict) and section in tables
        tables[section] = {**tables[section], **table} if both else table
    return Space.parse(tables)


def refused(lines: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(lines)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return str(caught.value)


def check(lines: str, said: str) -> None:
    assert refused(lines) == said


def cases(text: str) -> Any:
    """Each case is a configuration line with its error indented below."""
    found = re.findall(r"^(\S.*)\n((?: +.*\n)+)", text, flags=re.MULTILINE)
    return pytest.mark.parametrize(("line", "said"), [(line, " ".join(said.split())) for line, said in found])
