"""What the commands share: exit statuses, and one readable line for whatever the user can fix.

0: done. 2: bad input, nothing was started or written. 130: interrupted. 1: everything else.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import fcntl
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from distill_tune.errors import ConfigError, DistillTuneError, InputError, is_short_of_memory, one_line
from distill_tune.paths import is_file, real_path
from distill_tune.registry import did_you_mean
from distill_tune.streams import escape_what_has_no_letter, flush, open_what_is_closed, tell
from distill_tune.version import __version__

if TYPE_CHECKING:
    from distill_tune.mirror import Mirror

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_OF_THE_DISK = (*_NO_ROOM, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
BAD_INPUT = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser that reports errors in one line, as everything else does."""

    def __init__(self, *arguments: Any, **options: Any):
        options.setdefault("allow_abbrev", False)  # `--seed 7` would train seven seeds
        super().__init__(*arguments, **options)
        self.add_argument("--version", action="version", version=f"distill_tune {__version__}")

    def parse_args(self, *arguments: Any, **options: Any) -> Any:
        """Parse as argparse does, but suggest what an unknown option may have meant."""
        open_what_is_closed()
        escape_what_has_no_letter()
        given, unknown = self.parse_known_args(*arguments, **options)
        if unknown:
            known = [text for text in self._option_string_actions if text.startswith("--")]
            self.error(f"{unknown[0]}: unknown argument.{did_you_mean(unknown[0], known)}")
        return given

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        complain(f"{message.removeprefix('argument ').removesuffix('.')}; --help shows what can be given.")
        raise SystemExit(BAD_INPUT)


def guarded(command: Callable[[], int]) -> int:
    """Run a command, turning what it raises into an exit status and a line on stderr."""
    try:
        _check_current_folder()
        return command()
    except InputError as error:
        complain(str(error))
        return BAD_INPUT
    except DistillTuneError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain("interrupted.")
        return INTERRUPTED
    except (Exception, SystemExit) as error:
        from distill_tune.users_faults import fault_of_users

        number = error.errno if isinstance(error, OSError) else None
        if is_short_of_memory(error):
            complain(_of_memory(error))
            return 1
        if told := fault_of_users(error):
            complain(told)
            return 1
        if isinstance(error, OSError) and number == errno.ENAMETOOLONG:  # a name the user gave: ours are short
            complain(f"{error.filename!s:.80}...: {error.strerror}, no file can have this name; give a shorter one.")
            return BAD_INPUT
        if isinstance(error, OSError) and number in _OF_THE_DISK:
            complain(_of_the_disk(error))
        else:  # a bug of ours: print the whole traceback
            traceback.print_exc()
        return 1


def _check_current_folder() -> None:
    """Refuse a deleted current folder, in which no relative path resolves and PyTorch cannot be loaded."""
    try:
        Path.cwd()
    except OSError as error:
        raise InputError("the current folder: must be there, but has been deleted; change to another.") from error


def leave(status: int) -> NoReturn:
    """End the process without tearing down what it has loaded, which would keep a shell waiting most of a second.

    Calls `os._exit` after running the exit handlers and flushing the streams, as mypy does. Uses `sys.exit` instead
    under a profiler or tracer, which has yet to report, if a non-daemon thread is running, and for `python -i`.
    """
    waited_for = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    if waited_for or _is_watched() or sys.flags.inspect:
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    os._exit(status)


def _is_watched() -> bool:
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12
    tools = [] if monitoring is None else [monitoring.get_tool(number) for number in range(6)]
    return sys.getprofile() is not None or sys.gettrace() is not None or any(tools)


def _of_memory(error: BaseException) -> str:
    """A message for a GPU that is short of memory outside of trials: while the teacher runs, or something is timed."""
    return (
        f"the GPU has too little free memory ({one_line(error)}); lower optim.batch_size (or teacher.train.batch_size "
        "if the teacher is being trained), raise resources.gpus_per_worker so that fewer trials share the GPU, or end "
        "other programs that use it."
    )


def _of_the_disk(error: OSError) -> str:
    """A message for a disk error: only a full disk tells for sure that a write failed."""
    where, why = error.filename or "the result folder", error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return f"{where}: cannot be written ({why}); make room, or choose another place."
    return f"{where}: cannot be read or written ({why}); look at its permissions and its disk, or choose another place."


def complain(line: str) -> None:
    """Print an error as one line on stderr."""
    tell(f"error: {' '.join(line.split())}", sys.stderr)


def warn(line: str) -> None:
    """Print a warning as one line on stderr."""
    tell(f"warning: {line}", sys.stderr)


def storage_at(storage: str, logbook: str, must_lock: bool = False) -> tuple[Path, Mirror | None]:
    """The folder that holds the results, and its mirror if `--storage` names an object store.

    Args:
        storage: as given, a folder or a URI.
        logbook: the name of the file that records what else is in a result.
        must_lock: as for `local_folder`.

    Raises:
        ConfigError: it cannot be written to.
    """
    if "://" not in storage:
        return local_folder(storage, must_lock), None
    from distill_tune.mirror import Mirror

    mirror = Mirror(storage, logbook)
    return local_folder(str(mirror.folder), must_lock, way_out="set XDG_CACHE_HOME to another place"), mirror


def local_folder(storage: str, must_lock: bool = False, way_out: str = "choose another place") -> Path:
    """The folder that `--storage` names; it need not exist.

    Args:
        storage: as given.
        must_lock: whether files there will be locked, as a search locks its logbook.
        way_out: what the user can do about a place that cannot be used.

    Raises:
        ConfigError: it cannot be written to, or its files cannot be locked.
    """
    there = folder = _expanded(storage)
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
        if not there.is_dir():
            what = "leads nowhere" if there.is_symlink() and not there.exists() else "is a file"
            raise ConfigError(f"--storage {storage}: must be a folder, but {there} {what}; {way_out}.")
        with tempfile.TemporaryFile(dir=there) as file:  # permissions do not reveal a read-only or remote disk
            _check_lock(storage, file.fileno(), must_lock)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(
            f"--storage {storage:.200}: {there!s:.200} cannot be written to ({why}); {way_out}."
        ) from error
    return folder


def _check_lock(storage: str, file: int, must_lock: bool) -> None:
    try:
        if must_lock:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError(
            f"--storage {storage:.200}: files there cannot be locked ({error.strerror or error}), as a search must; "
            "mount it with locks, or choose another place."
        ) from error


def refuse_to_replace(output: Path, folder: Path, suffix: str) -> None:
    """Refuse an `--output` that would overwrite a file of the folder that the command reads.

    Args:
        output: need not exist.
        folder: the folder of a result or a student.
        suffix: suffix of what the command itself writes; an existing file with it is from an earlier run.

    Raises:
        ConfigError: it would overwrite such a file.
    """
    place = real_path(output)
    if is_file(place) and place.suffix != suffix and place.is_relative_to(real_path(folder)):
        raise ConfigError(f"-o {output!s:.200}: is a file of {folder}, which must not be lost; choose another place.")


def _expanded(storage: str) -> Path:
    if not storage:
        raise ConfigError("--storage '': must be a folder; . is the one that you are in.")
    try:
        folder = Path(storage).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(f"--storage {storage}: there is no such user here; choose another place.") from error
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:  # Arrow and safetensors take no other paths
        raise ConfigError(f"--storage {storage}: must be UTF-8, but {folder} is not; choose another place.") from error
    return folder
