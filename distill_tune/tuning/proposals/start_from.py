"""The other searches that one begins from (`search.start_from`), looked at before anything is started.

Without Optuna, whose loading a search leaves until Ray is on its way.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from distill_tune.config.searching import SearchConfig
from distill_tune.errors import CacheError, ConfigError
from distill_tune.export.result_folder import SEARCH_TOML
from distill_tune.paths import expanded, is_file
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK


def check_others(search: SearchConfig) -> None:
    """Refuse `start_from` folders that hold no search, or not whole what values are read anew from.

    Raises:
        ConfigError: which one.
    """
    for folder in search.start_from:
        _check_holds(folder, JOURNAL)
        if not has_the_objective(expanded(folder), search.objectives):
            _check_holds(folder, LOGBOOK)
            try:
                History.of(expanded(folder))
            except CacheError as error:
                raise ConfigError(f"search.start_from: {error}") from error


def still_there(folders: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Those that still hold a search when it is to be learned from; the others are told of."""
    found = [folder for folder in folders if is_file(expanded(folder) / JOURNAL)]
    for gone in sorted({*folders} - {*found}):
        say(f"warning: search.start_from: {gone} is gone; the search begins without its trials")
    return found


def _check_holds(folder: str, name: str) -> None:
    if not is_file(expanded(folder) / name):
        raise ConfigError(f"search.start_from: {folder} holds no {name}; name the result folder of a search.")


def has_the_objective(folder: Path, objectives: Sequence[str]) -> bool:
    """Whether a study's values are of this one objective, which its search.toml alone says."""
    try:
        search = tomllib.loads((folder / SEARCH_TOML).read_text(encoding="utf-8")).get("search", {})
    except (OSError, ValueError):  # gone, or damaged
        return False
    told = search.get("objectives", SearchConfig().objectives)
    return len(objectives) == 1 and told in (objectives[0], [*objectives])
