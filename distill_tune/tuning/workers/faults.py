"""What a training raises: whether its process can go on with another, and the log of it in the search's folder."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from pathlib import Path

from ray.exceptions import OutOfMemoryError, RayActorError

from distill_tune.errors import DistillTuneError
from distill_tune.export.result_folder import LOGS
from distill_tune.tuning.workers.files import Files

_OF_A_GPU = "CUDA error"


def spoils_process(error: BaseException) -> bool:
    """Whether whatever this process trained next would fail with the same error.

    After an illegal access or a failed assertion on the device, CUDA answers nothing else until the process ends. Nor
    does the mailbox of several workers answer again once it is lost, be it to Ray's memory monitor. Short memory of
    this process is not such a case, nor is what another has said of itself.
    """
    if isinstance(error, RayActorError | OutOfMemoryError):
        return True
    if isinstance(error, DistillTuneError) or "out of memory" in str(error):
        return False
    is_torchs_own = any(kind.__name__ == "AcceleratorError" for kind in type(error).__mro__)  # torch may not be loaded
    return is_torchs_own or _OF_A_GPU in str(error)


def end_if_spoilt(error: BaseException) -> None:
    """End this process if it can train nothing else; Ray starts another, as for one that died.

    An actor that only raises is taken down by Tune in its own time, and one that leaves by `ray.actor.exit_actor` is
    not started again.
    """
    if spoils_process(error):
        os._exit(1)


def log_fault(files: Files, folder: Path, trial_id: str, error: BaseException) -> None:
    """Keep in a search's folder what a training raised, behind what it raised before, if it was begun again.

    The log is for people: where it cannot be written, the training fails all the same and no worse.
    """
    said = "".join(traceback.format_exception(error))
    with suppress(OSError):
        files.append(folder / LOGS / f"{trial_id}.txt", said.encode(errors="backslashreplace"))
