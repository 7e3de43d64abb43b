"""Entries of the registries are cheap to import: a configuration is refused before anything heavy is loaded."""

import subprocess
import sys

from distill_tune.registry import AUGMENTATIONS, LOSSES, OPTIMIZERS, SAMPLERS, SCHEDULERS, TEACHERS

IMPORT_ALL = """
import sys
from distill_tune.registry import AUGMENTATIONS, LOSSES, OPTIMIZERS, SAMPLERS, SCHEDULERS, TEACHERS
for registry in (AUGMENTATIONS, LOSSES, OPTIMIZERS, SAMPLERS, SCHEDULERS, TEACHERS):
    for name in registry.names:
        registry.get(name)
print(*sorted({"torch", "ray", "sklearn", "scipy", "pandas", "pyarrow", "optuna"} & set(sys.modules)))
"""


def test_importing_every_entry_loads_nothing_heavy() -> None:
    told = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_every_entry_says_what_it_is_and_what_its_options_are() -> None:
    for registry in (AUGMENTATIONS, LOSSES, OPTIMIZERS, SAMPLERS, SCHEDULERS, TEACHERS):
        for name in registry.names:
            entry = registry.get(name)
            assert entry.__doc__
            assert entry.model_config.get("frozen")
            assert entry.model_config.get("extra") == "forbid"
