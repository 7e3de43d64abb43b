"""Packages that not every installation has, which the parts that need them import by this."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from packaging.version import Version

from distill_tune.errors import DistillTuneError, one_line

_TELLS_NOBODY = {"ORT_DISABLE_TELEMETRY": "1"}
"""When it is imported, ONNX Runtime gives the machine a number, in the user's cache, to be known by to its makers."""


def imported(package: str, who: str, error: type[DistillTuneError], oldest: str | None = None) -> Any:
    """The package's module.

    Args:
        package: its name, for `import` and for pip.
        who: needs it, as a sentence begins: "teacher.source: 'timm'".
        error: what to raise.
        oldest: the first version that will do.

    Raises:
        DistillTuneError: of the kind `error`; it is not installed, or too old.
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
