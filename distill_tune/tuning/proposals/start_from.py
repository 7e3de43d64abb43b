"""Check the other searches that one starts from (`search.start_from`), before anything is started.

Does not import Optuna, which a search loads only once Ray is starting.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill_tune.config.messages import shown
from distill_tune.config.searching import SearchConfig
from distill_tune.config.sections import DataConfig
from distill_tune.errors import CacheError, ConfigError
from distill_tune.export.result_folder import SEARCH_TOML
from distill_tune.paths import expanded, is_file, real_path
from distill_tune.tuning.state.history import History, is_object
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK

_OF_THE_SPLIT = ("seed", "test", "validation", "folds")
"""Keys of `[data]` that decide which row is in which split."""


def check_others(search: SearchConfig) -> None:
    """Refuse `start_from` folders that hold no search, or whose files are damaged.

    Raises:
        ConfigError: a folder is refused; says which.
    """
    places = [real_path(expanded(folder)) for folder in search.start_from]
    if twice := [f for number, f in enumerate(search.start_from) if places[number] in places[:number]]:
        raise ConfigError(f"search.start_from: {twice[0]} is given twice; give each search once.")
    for folder in search.start_from:
        _check_holds(folder, JOURNAL)
        _check_lines(expanded(folder) / JOURNAL)
        if not has_the_objective(expanded(folder), search.objectives):
            _check_holds(folder, LOGBOOK)
            try:
                History.of(expanded(folder))
            except CacheError as error:
                raise ConfigError(f"search.start_from: {error}") from error


def still_there(folders: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """The folders that still hold a search when it is time to learn from it; warns of the others."""
    found = [folder for folder in folders if is_file(expanded(folder) / JOURNAL)]
    for gone in sorted({*folders} - {*found}):
        say(f"warning: search.start_from: {gone} is gone; the search begins without its trials")
    return found


def split_otherwise(folders: Sequence[str], data: DataConfig) -> list[str]:
    """A warning for each search on the same source that has split its rows differently.

    Its trials were judged by rows that may be test rows here, which favours settings that suit these.
    """
    warnings, ours = [], (data.source, _place(data.path))
    for folder in folders:
        theirs = _tables_of(expanded(folder)).get("data")
        if not isinstance(theirs, dict) or (theirs.get("source"), _place(theirs.get("path"))) != ours:
            continue
        for key in _OF_THE_SPLIT:
            default, now = DataConfig.model_fields[key].default, getattr(data, key)
            if (other := theirs.get(key, default)) != now:
                warnings.append(
                    f"warning: search.start_from: {folder} has split its data otherwise (data.{key} was "
                    f"{_set(other)} and is {_set(now)}); rows that its trials were judged by may be test here"
                )
                break
    return warnings


def _place(path: Any) -> Path | None:
    """The path that a `data.path` leads to; None if it is no string, as in a broken search.toml."""
    return real_path(expanded(path)) if isinstance(path, str) else None


def _set(value: Any) -> str:
    return "unset" if value is None else shown(value)


def _check_holds(folder: str, name: str) -> None:
    if not is_file(expanded(folder) / name):
        raise ConfigError(f"search.start_from: {folder} holds no {name}; name the result folder of a search.")


def _check_lines(journal: Path) -> None:
    """Refuse a damaged line; Optuna skips only a last one that a kill has cut short."""
    *whole, _ = journal.read_bytes().split(b"\n")
    for number, line in enumerate(whole, 1):
        if not is_object(line):
            raise ConfigError(f"search.start_from: {journal}: line {number} is damaged; leave this search out.")


def has_the_objective(folder: Path, objectives: Sequence[str]) -> bool:
    """Whether a study's values are of this one objective, which only its search.toml says."""
    search = _tables_of(folder).get("search")
    if not isinstance(search, dict):
        return False
    told = search.get("objectives", SearchConfig().objectives)
    return len(objectives) == 1 and told in (objectives[0], [*objectives])


def _tables_of(folder: Path) -> dict[str, Any]:
    """A search's configuration; empty if it is gone or damaged."""
    try:
        return tomllib.loads((folder / SEARCH_TOML).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
