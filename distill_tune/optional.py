"""Imports of optional packages, which not every installation has."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from packaging.version import Version

from distill_tune.errors import DistillTuneError, one_line

_TELLS_NOBODY = {"ORT_DISABLE_TELEMETRY": "1"}
"""Without it, importing ONNX Runtime stores a telemetry ID for the machine in the user's cache."""


def imported(package: str, who: str, error: type[DistillTuneError], oldest: str | None = None) -> Any:
    """Import an optional package and return its module.

    Args:
        package: its name, for `import` and for pip.
        who: what needs it, to begin an error message: "teacher.source: 'timm'".
        error: the class of error to raise.
        oldest: the minimum version.

    Raises:
        DistillTuneError: of class `error`; the package is not installed, or too old.
    """
    for name, value in _TELLS_NOBODY.items():
        os.environ.setdefault(name, value)
    try:
        module = import_module(package)
    except ImportError as missing:
        raise error(f"{who} needs {package} ({one_line(missing)}); `pip install {package}` installs it.") from missing
    if oldest is not None and Version(module.__version__) < Version(oldest):
        raise error(
            f"{who} needs {package} {oldest} or later, but {module.__version__} is installed; "
            f"`pip install -U {package}` installs it."
        )
    return module
