"""Small spaces with a test's own sections, and what is settled for them before a search."""

import json
from typing import Any

from distill_tune.config.space import Space
from distill_tune.tuning.planning.fitting import Fitted, fit

from small import TABLES  # isort: skip


def space_with(**sections: dict[str, Any]) -> Space:
    tables = json.loads(json.dumps(TABLES))
    for name, table in sections.items():
        tables[name] = tables.get(name, {}) | table
    return Space.parse(tables)


def fitted(preparation: Any, **sections: dict[str, Any]) -> tuple[Fitted, list[str]]:
    said: list[str] = []
    return fit(space_with(**sections), preparation.dataset, 2, said.append), said
