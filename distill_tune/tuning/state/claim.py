"""A search's claim to its result folder: a new one, or one that an earlier session has left.

A new search claims its folder when everything that can be refused has been looked at; a search that is taken up again
claims it first. Whoever holds the logbook's lock is at work there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from distill_tune.config import Space, load_space
from distill_tune.distillation.cache.folders import FEATURES, VIEWS
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import CacheError, ConfigError, DistillTuneError
from distill_tune.export.result_folder import (
    CACHE,
    SEARCH_TOML,
    free_after,
    is_default_name,
    link_tree,
    write_search_toml,
)
from distill_tune.registry import closest
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import LOGBOOK, Entry, HeldError, Logbook
from distill_tune.tuning.state.origin import Origin
from distill_tune.tuning.state.own_parts import own_parts


@dataclass
class Claim:
    """A result folder that is this program's."""

    folder: Path
    logbook: Logbook
    history: History = field(default_factory=History)
    command: str = ""
    """The command line of this session."""

    @classmethod
    def of_new(
        cls, folder: Path, space: Space, command: str, origin: Origin | None = None, is_named: bool = True
    ) -> Claim:
        """Make the folder of a new search; the `origin` of one that stands beside another is that one's.

        Where another search has just begun there, one whose folder need not have that name (`is_named`) takes the next.

        Raises:
            HeldError: another search has just begun there.
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
        """Take up the folder of an earlier search; of its `space` the session's entry tells what is the user's own.

        Raises:
            ConfigError: another program is at work there, or whatever `check` raises of what was left.
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
        """The prepared data and teacher under the folder's own names: deleting the shared cache does not harm it.

        What a teacher has said for other searches stays there.

        Raises:
            CacheError: it was deleted before.
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
    """What a session's entry tells of the user's own parts; nothing where there are none."""
    parts = own_parts(space)
    return {"own_parts": parts} if parts else {}


def _new_logbook(folder: Path) -> Logbook:
    logbook = Logbook(folder)
    if (folder / LOGBOOK).stat().st_size:
        logbook.release()
        raise HeldError(f"--name {folder.name}: {folder} holds another search; choose another name.")
    return logbook


def _next_logbook(folder: Path) -> Logbook:
    """That of the folder, or of the first after it that nobody has."""
    place = folder
    while True:
        try:
            return _new_logbook(place)
        except HeldError:
            place = free_after(folder)


def check_is_ours(folder: Path) -> None:
    """Refuse the result folder of somebody else, or on a disk that has become read-only, before anything is begun.

    Raises:
        ConfigError: its logbook is there, and cannot be read and written.
    """
    try:
        (folder / LOGBOOK).open("r+b").close()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):  # no search's, which is said where one is needed
        return
    except OSError as error:
        raise ConfigError(
            f"{folder}: {LOGBOOK} cannot be read and written ({error.strerror}), as a search that goes on must; look "
            "at its permissions and its disk, or give the --name of another."
        ) from error


def space_of(folder: Path) -> Space:
    """The search space that a result folder was made with, as it was settled then.

    Raises:
        ConfigError: there is no search in the folder.
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
    """The result folder that was written to last.

    Args:
        storage: where result folders are.
        space_path: whose name and time its name must be; None for any name.
        is_finished: whether its search must have come to a verdict, or must not.
        warn: hears of damaged ones and of other people's, which are passed over.

    Raises:
        ConfigError: there is none.
    """
    logbooks = sorted(storage.glob(f"*/{LOGBOOK}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in (logbook.parent for logbook in logbooks):
        if not (folder / SEARCH_TOML).is_file():  # a search that was ended while it claimed its folder
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
