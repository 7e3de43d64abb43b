"""A worker group that records its process's imports; in its own file, which imports no more than trials do."""

import sys
from pathlib import Path

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.worker_group import InProcessGroup, WorkerGroup

MODULES = "modules.txt"


class Telling(InProcessGroup):
    """Records what its process has imported."""

    def __init__(self, resources: ResourcesConfig, folder: Path):
        super().__init__(resources)
        self._folder = folder

    def next_report(self) -> Report:
        report = super().next_report()
        (self._folder / MODULES).write_text("\n".join(sys.modules))
        return report


def telling(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    return Telling(resources, folder)
