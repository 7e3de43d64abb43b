"""Errors of a training: whether its process can continue with another, and their log in the search's folder."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from pathlib import Path

from ray.exceptions import OutOfMemoryError, RayActorError

from distill_tune.errors import DistillTuneError, is_short_of_memory
from distill_tune.export.result_folder import LOGS
from distill_tune.tuning.workers.files import Files

_OF_A_GPU = "CUDA error"


def spoils_process(error: BaseException) -> bool:
    """Whether whatever this process trains next would fail with the same error.

    After an illegal access or a failed assertion on the device, CUDA answers nothing else until the process ends.
    Likewise, the mailbox of several workers does not come back once it is lost, e.g. to Ray's memory monitor. Running
    out of memory in this process is not such a case, nor are errors that another process reported about itself.
    """
    if isinstance(error, RayActorError | OutOfMemoryError):
        return True
    if isinstance(error, DistillTuneError) or is_short_of_memory(error):
        return False
    is_torchs_own = any(kind.__name__ == "AcceleratorError" for kind in type(error).__mro__)  # torch may not be loaded
    return is_torchs_own or _OF_A_GPU in str(error)


def end_if_spoilt(error: BaseException) -> None:
    """End this process if it can train nothing else; Ray starts another, as for one that died.

    An actor that only raises is taken down by Tune with a delay, and one that leaves by `ray.actor.exit_actor` is not
    restarted.
    """
    if spoils_process(error):
        os._exit(1)


def log_fault(files: Files, folder: Path, trial_id: str, error: BaseException) -> None:
    """Append what a training raised to its log in a search's folder.

    The log is only for people: failing to write it changes nothing about how the training fails.
    """
    said = "".join(traceback.format_exception(error))
    with suppress(OSError):
        files.append(folder / LOGS / f"{trial_id}.txt", said.encode(errors="backslashreplace"))
