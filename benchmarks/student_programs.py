"""The cost of exporting a student as programs, with and without garbage collection during export.

    .venv/bin/python benchmarks/student_programs.py --repeats 5

CPU time, in turns, each time in a new process that has loaded what a search has by then: exporting a first student
loads PyTorch's exporters, and exporting a second does not. Figures of `docs/benchmarks.md`, What a user waits for.
"""

import subprocess
import sys
from statistics import median

from _measure import conclude, parser

FAMILIES = ("mlp", "convnet")
ONE = """
import contextlib, gc, sys, tempfile, time
from pathlib import Path
import numpy as np, optuna, pandas, plotly.graph_objects, ray.train, ray.tune, torch
from distill_tune.export import programs
from distill_tune.registry import FORMATS, STUDENTS
from distill_tune.students import build_student

torch.set_num_threads(1)
family, collects = sys.argv[1], sys.argv[2] == "collects"
if collects:
    programs._no_collecting = contextlib.nullcontext
student = build_student(STUDENTS.get(family)(), (1, 8, 8), 10, [0.5], [2.0]).eval()
inputs = np.random.default_rng(0).integers(0, 256, (64, 1, 8, 8), dtype=np.uint8)
for _ in range(2):
    began = time.process_time()
    assert programs.write_programs(Path(tempfile.mkdtemp()), student, inputs, FORMATS.names) == {}
    print(time.process_time() - began)
"""


def seconds(family: str, how: str) -> list[float]:
    """CPU seconds for a first and a second student."""
    run = subprocess.run([sys.executable, "-c", ONE, family, how], capture_output=True, text=True, check=True)
    return [float(line) for line in run.stdout.splitlines()]


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5)
    repeats = options.parse_args().repeats
    hows = ("collects", "does not")
    found: dict[str, dict[str, list[list[float]]]] = {family: {how: [] for how in hows} for family in FAMILIES}
    for _ in range(repeats):
        for family in FAMILIES:
            for how in hows:
                found[family][how].append(seconds(family, how))
    print("| student | garbage | first, s | second, s |\n|---|---|---|---|")
    for family, by_how in found.items():
        for how, times in by_how.items():
            shown = [f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in zip(*times, strict=True)]
            print(f"| {family} | {how} | {' | '.join(shown)} |")
    conclude("student_programs", seconds=found)


if __name__ == "__main__":
    main()
