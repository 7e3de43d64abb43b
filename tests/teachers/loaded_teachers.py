"""What tests of loaded teachers share: data to fit, loading the way `prepare` does, and a pickle that runs code."""

from pathlib import Path
from typing import Any

from distill_tune.config.sections import TeacherConfig
from distill_tune.teachers import DataSpec, LoadedTeacher, Say, TeacherContext

ROWS_OF_FIVE = DataSpec(("a", "b", "c"), (5,), (), (), "data", 10)
ROWS = DataSpec(("a", "b", "c"), (7,), (), (), "data", 10)
TWO = DataSpec(("no", "yes"), (7,), (), (), "data", 10)
IMAGES = DataSpec(("a", "b", "c"), (2, 6, 5), (100.0, 90.0), (50.0, 60.0), "data", 10)
GREY = DataSpec(("a", "b", "c"), (1, 6, 5), (100.0,), (50.0,), "data", 10)


def unused(*_: Any) -> Any:
    raise AssertionError("this teacher trains nothing")


def loaded_from(config: TeacherConfig, data_spec: DataSpec, folder: Path, say: Say = unused) -> LoadedTeacher:
    """Load the way `prepare` does."""
    source = config.chosen("source")
    assert source.identity(config, data_spec) == source.identity(config, data_spec)
    teacher: LoadedTeacher = source.load(config, data_spec, TeacherContext(folder, unused, say))
    return teacher


class Malicious:
    """Makes a file if it is unpickled with leave to run code."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)
