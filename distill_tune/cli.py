"""What the commands share: exit statuses, and one readable line for whatever the user can mend.

0: done. 2: the input was bad, nothing was started or written. 130: interrupted. 1: everything else.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from distill_tune.errors import ConfigError, DistillTuneError, InputError

BAD_INPUT = 2
INTERRUPTED = 130


def guarded(command: Callable[[], int]) -> int:
    """Run a command and turn what it raises into an exit status and a line on stderr."""
    try:
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
    except Exception:  # a fault of ours: the whole story, and a status that says so
        traceback.print_exc()
        return 1


def complain(line: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"error: {' '.join(line.split())}\n")


def local_folder(storage: str) -> Path:
    """The folder that `--storage` names.

    Raises:
        ConfigError: it is a URI; only folders (local, or mounted on every node) can be used so far.
    """
    if "://" in storage:
        raise ConfigError(
            f"--storage {storage}: must be a folder, local or mounted on every node; URIs cannot be used yet."
        )
    return Path(storage).absolute()
