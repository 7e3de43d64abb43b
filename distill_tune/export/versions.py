"""What a result depends on besides its configuration: versions, the machine, the revision of the working tree."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version

from distill_tune.version import __version__

_LIBRARIES = ("torch", "ray", "optuna", "numpy", "scikit-learn", "pyarrow", "pillow", "pydantic")


def versions() -> dict[str, str]:
    """Versions by name."""
    found = {name: version(name) for name in _LIBRARIES}
    return {"distill_tune": __version__, "python": sys.version.split()[0], **found} | _revision()


def machine() -> str:
    """A description of the machine."""
    return f"{platform.machine()} {platform.system()}"


def _revision() -> dict[str, str]:
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no git, or not in a repository: there is no revision to record
        return {}
    return {"git": described.stdout.strip()}
