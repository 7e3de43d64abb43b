"""A search's claim to its result folder: a new one, or one left by an earlier session.

A new search claims its folder only after every check that could refuse it; a resumed search claims it first. Whoever
holds the lock on the logbook is the one working there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from distill_tune.config import Space, load_space
from distill_tune.distillation.cache.folders import FEATURES, VIEWS
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import CacheError, ConfigError, DistillTuneError
from distill_tune.export.lock_files import is_locked
from distill_tune.export.result_folder import (
    CACHE,
    MARK,
    SEARCH_TOML,
    free_after,
    is_default_name,
    write_search_toml,
)
from distill_tune.registry import closest
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.linking import link_tree
from distill_tune.tuning.state.logbook import LOGBOOK, Entry, HeldError, Logbook
from distill_tune.tuning.state.origin import Origin
from distill_tune.tuning.state.own_parts import own_parts


@dataclass
class Claim:
    """A result folder that this process holds."""

    folder: Path
    logbook: Logbook
    history: History = field(default_factory=History)
    command: str = ""
    """The command line of this session."""

    @classmethod
    def of_new(
        cls, folder: Path, space: Space, command: str, origin: Origin | None = None, is_named: bool = True
    ) -> Claim:
        """Create the folder of a new search; `origin` is that of the search it runs alongside, if any.

        If another search has just started there, a search that does not need that exact name (`is_named` is false)
        takes the next free one.

        Raises:
            HeldError: another search has just started there.
            OSError: it cannot be written; then nothing is left of it.
        """
        logbook = _new_logbook(folder) if is_named else _next_logbook(folder)
        folder = logbook.folder
        try:
            logbook.write(Entry.SESSION, command=command, **(asdict(origin) if origin else {}), **_own(space))
            write_search_toml(folder, space, command)
        except OSError:
            logbook.discard()
            raise
        return cls(folder, logbook, command=command)

    @classmethod
    def of_old(
        cls,
        folder: Path,
        command: str,
        check: Callable[[History], object] = lambda history: None,
        space: Space | None = None,
    ) -> Claim:
        """Claim the folder of an earlier search; the session's entry records the user-defined parts of its `space`.

        Raises:
            ConfigError: another program is at work there; or whatever `check` raises about the history.
            CacheError: the logbook is damaged.
        """
        logbook = Logbook(folder)
        try:
            history = History.of(folder)
            check(history)
        except DistillTuneError:
            logbook.release()
            raise
        logbook.cut(history.logbook_bytes)
        logbook.knows([*history.records, *history.confirmations])
        logbook.write(Entry.SESSION, command=command, **(_own(space) if space else {}))
        return cls(folder, logbook, history, command)

    def link(self, prepared: Prepared) -> Prepared:
        """Link the prepared data and teacher into the folder, so that deleting the shared cache does not harm it.

        Teacher outputs that only other searches use are not linked.

        Raises:
            CacheError: the prepared data or teacher had already been deleted.
        """
        own, linked = self.folder / CACHE, set[Path]()
        parts = (prepared, *prepared.folds)
        used = None if prepared.used is None else {name for part in parts for name in part.used or ()}

        def link(shared: Path) -> Path:
            if shared.parent != own and shared not in linked:  # two files of the same content are one teacher
                outputs = (path.name for kind in (VIEWS, FEATURES) for path in shared.glob(f"{kind}*"))
                link_tree(shared, own / shared.name, set() if used is None else {*outputs} - used)
                linked.add(shared)
            return own / shared.name

        return prepared.moved(link)


def _own(space: Space) -> dict[str, dict[str, str]]:
    """What a session's entry records about user-defined parts; empty if there are none."""
    parts = own_parts(space)
    return {"own_parts": parts} if parts else {}


def _new_logbook(folder: Path) -> Logbook:
    held = HeldError(f"--name {folder.name}: {folder} holds another result; choose another name.")
    if is_locked(folder / MARK):  # of a training that began while this search prepared
        raise held
    logbook = Logbook(folder)
    if (folder / LOGBOOK).stat().st_size:
        logbook.release()
        raise held
    return logbook


def _next_logbook(folder: Path) -> Logbook:
    """The logbook of the folder, or of the next free one after it."""
    place = folder
    while True:
        try:
            return _new_logbook(place)
        except HeldError:
            place = free_after(folder)


def check_is_ours(folder: Path) -> None:
    """Refuse a result folder that belongs to another user or is on a read-only disk, before anything starts.

    Raises:
        ConfigError: its logbook exists but cannot be read and written.
    """
    try:
        (folder / LOGBOOK).open("r+b").close()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):  # no search's folder; reported if one is needed
        return
    except OSError as error:
        raise ConfigError(
            f"{folder}: {LOGBOOK} cannot be read and written ({error.strerror}), as a search that goes on must; look "
            "at its permissions and its disk, or give the --name of another."
        ) from error


def space_of(folder: Path) -> Space:
    """The search space that a result folder was created with, as resolved at that time.

    Raises:
        ConfigError: the folder holds no search.
    """
    if not (folder / SEARCH_TOML).is_file() or not (folder / LOGBOOK).is_file():
        others = [each.parent.name for each in sorted(folder.parent.glob(f"*/{LOGBOOK}")) if each.parent != folder]
        hint = f" (did you mean --name {near}?)" if (near := closest(folder.name, others)) else ""
        raise ConfigError(
            f"{folder}: holds no search that could be taken up again{hint}; give the --name and --storage of one, or "
            "begin it again if it was ended before its first trial: what was prepared is kept."
        )
    return load_space(folder / SEARCH_TOML, [])


def newest(
    storage: Path, space_path: Path | None, is_finished: bool, warn: Callable[[str], object] = lambda line: None
) -> Path:
    """The most recently written result folder.

    Args:
        storage: where result folders are.
        space_path: the search file whose default name (name and time) the folder must have; None for any name.
        is_finished: whether its search must, or must not, have reached a verdict.
        warn: receives a message for each folder skipped because it is damaged or belongs to another user.

    Raises:
        ConfigError: there is none.
    """
    logbooks = sorted(storage.glob(f"*/{LOGBOOK}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in (logbook.parent for logbook in logbooks):
        if not (folder / SEARCH_TOML).is_file():  # a search that was killed while claiming its folder
            continue
        if space_path is not None and not is_default_name(folder.name, space_path):
            continue
        try:
            check_is_ours(folder)
            if History.of(folder).is_finished is is_finished:
                return folder
        except (CacheError, ConfigError) as error:
            warn(str(error))
    what = "finished" if is_finished else "unfinished"
    whose = f" that is named after {space_path}" if space_path else ""
    raise ConfigError(f"{storage}: holds no {what} search{whose}; give --storage, --name.")
