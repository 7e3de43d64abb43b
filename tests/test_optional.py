"""Packages that not every installation has."""

import os
import subprocess
import sys
from pathlib import Path

_ANSWERS = (
    "import sys; from pathlib import Path; from torch import nn; import numpy as np; "
    "from distill_tune.export.programs import write_programs; "
    "assert not write_programs(Path(sys.argv[1]), nn.Linear(3, 2).eval(), np.zeros((2, 3), 'float32'), ['onnx'])"
)


def test_onnx_runtime_tells_nobody_of_this_machine(tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "student"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", _ANSWERS, str(folder)], env=kept | {"XDG_CACHE_HOME": str(cache)}, check=True)
    assert (folder / "student.onnx").exists()
    assert [path for path in cache.rglob("*") if path.is_file()] == []
