"""Whose fault an exception is: one raised by user-defined code is reported in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

from distill_tune.errors import ConfigError, DistillTuneError, TrainingError, one_line
from distill_tune.paths import is_users_code

_OURS = Path(__file__).parent


def fault_of_users(error: BaseException) -> str:
    """What user-defined code raised, and where; empty if the fault is ours.

    An error is the user's if their code, or a library that it called, raised it; not if it came from our code.
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
    """Let user-defined code that would end the process, as by `sys.exit`, end only its training.

    Raises:
        TrainingError: something raised SystemExit within the block.
        SystemExit: Ray raised it, since the process was asked to end (SIGTERM): not the training's fault.
    """
    try:
        yield
    except SystemExit as error:
        if hasattr(error, "ray_terminate_msg"):
            raise
        raise TrainingError(fault_of_users(error) or one_line(error)) from error


@contextmanager
def users_faults_refused() -> Iterator[None]:
    """Before anything is started, treat a fault of user-defined code as bad input, like a configuration mistake.

    Raises:
        ConfigError: user-defined code raised within the block.
    """
    try:
        yield
    except DistillTuneError:
        raise
    except (Exception, SystemExit) as error:
        if told := fault_of_users(error):
            raise ConfigError(told) from error
        raise
