"""Whose fault an exception is: one of a part of the user's own is no fault of ours, and is told in a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

from distill_tune.errors import ConfigError, DistillTuneError, TrainingError, one_line
from distill_tune.paths import is_users_code

_OURS = Path(__file__).parent


def fault_of_users(error: BaseException) -> str:
    """What a part of the user's own has raised, and where; empty where the fault is ours.

    The part's is what it raises itself and what a library does that it has called; not what it calls of ours.
    """
    for frame, number in reversed(list(walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_OURS):
            return ""
        if is_users_code(path):
            what = "has ended the program" if isinstance(error, SystemExit) else f"has raised {one_line(error)}"
            return f"{frame.f_code.co_qualname} in {path.name}, line {number}, {what}; mend it."
    return ""


@contextmanager
def no_end_of_the_process() -> Iterator[None]:
    """A part of the user's own that would end the process, as by `sys.exit`, ends its training alone.

    Raises:
        TrainingError: something has raised SystemExit within the block.
        SystemExit: Ray has, which ends the process because somebody has asked for it (SIGTERM): no training's fault.
    """
    try:
        yield
    except SystemExit as error:
        if hasattr(error, "ray_terminate_msg"):
            raise
        raise TrainingError(fault_of_users(error) or one_line(error)) from error


@contextmanager
def users_faults_refused() -> Iterator[None]:
    """Before anything is started a fault of a user's part is bad input, as a mistake in the configuration is.

    Raises:
        ConfigError: something of the user's has raised within the block.
    """
    try:
        yield
    except DistillTuneError:
        raise
    except (Exception, SystemExit) as error:
        if told := fault_of_users(error):
            raise ConfigError(told) from error
        raise
