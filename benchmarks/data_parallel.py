"""Samples per second of a student of a million parameters on two workers, against one.

    .venv/bin/python benchmarks/data_parallel.py [--student mlp] [--batch 1024] [--repeats 5]      (two cores at least)

Both are worker groups as a trial uses them (`tuning/workers/groups.py`): one worker is the calling process, several are
a warm Ray Train run. Each group keeps one assignment and trains an epoch on request, in turn: one, two, one, two; the
waiting group computes nothing. One thread per worker, float32, AdamW, soft targets against cached logits, on --samples
samples of Fashion-MNIST. A batch is `optim.batch_size` for the whole group: each of two workers gets half of it at each
step. The first epoch of each is a warm-up.

- `samples/s` is training samples by the caller's clock: from the request for an epoch to its report, so it includes
  validation and the mailbox. The ratio is that of medians; the goal is at least 1.6 for two workers on two cores.
- `steps` is the ratio of the workers' own `samples_per_s`, for the training steps alone.

The mlp has the fewest operations per parameter, so gradients weigh most in it; the convnet has eighteen times as many.
"""

from __future__ import annotations

import os
import shutil
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any

import torch
from _measure import ENVIRONMENT, PLAIN_TEACHER, ROOT, conclude, free_folder, parser, show
from step_throughput import FASHION, PLAIN, RECIPE

from distill_tune.config.load import load_space
from distill_tune.config.searching import ResourcesConfig
from distill_tune.config.space import Space
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.tuning.cluster.connection import Connection
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.files import HERE
from distill_tune.tuning.workers.groups import make_group
from distill_tune.tuning.workers.worker_group import WorkerGroup, WorkersAreNotUp

STUDENTS: dict[str, tuple[str, ...]] = {
    "mlp": ("student.family='mlp'", "student.mlp.width=680", "student.mlp.depth=2", "student.mlp.activation='relu'"),
    "convnet": (
        "student.family='convnet'",
        "student.convnet.width=52",
        "student.convnet.depth=4",
        "student.convnet.separable=false",
    ),
}
BATCHES = (512, 1024)
GOAL = 1.6
Epoch = tuple[float, Report]
"""Seconds from the request to the report, and the report."""


def main() -> None:
    """Measure, student by student and batch by batch."""
    given = _arguments()
    os.environ.update(ENVIRONMENT)  # Ray's workers must import from the same paths as this process
    torch.set_num_threads(1)
    resources = ResourcesConfig(workers_per_trial=given.workers)
    with Connection(None, resources, print) as connection:
        connection.wait()
        with _groups(given) as groups:
            cases = {
                f"{student}, batch {batch}": _measure(groups, student, batch, given)
                for student in given.student or STUDENTS
                for batch in given.batch or BATCHES
            }
    heads = ("case", "parameters", "one, samples/s", f"{given.workers}, samples/s", "ratio", "steps", "val/loss, both")
    show(heads, [_row(name, found) for name, found in cases.items()])
    options = {"workers": given.workers, "samples": given.samples, "repeats": given.repeats, "goal": GOAL}
    conclude("data_parallel", torch=torch.__version__, **options, cases=cases)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--student", action="append", choices=list(STUDENTS), help="one of them; all, unless given")
    made.add_argument("--batch", action="append", type=int, help=f"of the whole group; {BATCHES}, unless given")
    made.add_argument("--samples", type=int, default=8192, help="to train on")
    made.add_argument("--repeats", type=int, default=5, help="epochs of each group, after the warm-up")
    made.add_argument("--workers", type=int, default=2)
    return made.parse_args()


@contextmanager
def _groups(given: Namespace) -> Iterator[dict[int, WorkerGroup]]:
    """Number of workers to group; they stay up for all cases."""
    folder = free_folder(given.storage, "data_parallel")
    groups = {
        number: make_group(ResourcesConfig(workers_per_trial=number), folder, f"{folder.name}-{number}", 0, HERE)
        for number in (1, given.workers)
    }
    for group in groups.values():
        group.start()
    try:
        yield groups
    finally:
        for group in groups.values():
            group.shutdown()
        shutil.rmtree(folder, ignore_errors=True)  # Ray Train's own state


def _measure(groups: dict[int, WorkerGroup], student: str, batch: int, given: Namespace) -> dict[str, Any]:
    space = _space(student, batch, given)
    config, prepared = space.at({}), prepare(space, given.storage / ".cache", print).prepared
    for number, group in groups.items():
        group.assign(Assignment(f"{student}-{batch}-{number}", config, config.search.seed, prepared))
    epochs: dict[int, list[Epoch]] = {number: [] for number in groups}
    for _ in range(1 + given.repeats):
        for number, group in groups.items():
            epochs[number].append(_timed_epoch(group))
    materials = Materials.open(prepared, config)
    samples = len(materials.labels) // batch * batch
    return _figures(samples, *(each[1:] for each in epochs.values())) | {
        "parameters": sum(p.numel() for p in materials.build_student(config).parameters())
    }


def _space(student: str, batch: int, given: Namespace) -> Space:
    data = (f"data.student_samples={given.samples}", "data.rest='hidden'", "teacher.views=1")
    length = f"search.max_epochs={given.repeats + 2}"  # the last epoch of a training measures the gap as well
    pace = ("optim.precision='float32'", "optim.memory_format='contiguous'")
    made = (*PLAIN_TEACHER, *data, *RECIPE, *PLAIN, *pace, *STUDENTS[student], f"optim.batch_size={batch}", length)
    return load_space(ROOT / FASHION, [*made])


def _timed_epoch(group: WorkerGroup) -> Epoch:
    began_s = time.perf_counter()
    while True:
        with suppress(WorkersAreNotUp):
            report = group.next_report()
            return time.perf_counter() - began_s, report


def _figures(samples: int, one: list[Epoch], several: list[Epoch]) -> dict[str, Any]:
    walls = [[samples / seconds for seconds, _ in each] for each in (one, several)]
    steps = [median(float(report["samples_per_s"]) for _, report in each) for each in (one, several)]
    return {
        "one_samples_per_s": walls[0],
        "several_samples_per_s": walls[1],
        "ratio": median(walls[1]) / median(walls[0]),
        "steps_ratio": steps[1] / steps[0],
        "val_losses": [float(each[-1][1]["val/loss"]) for each in (one, several)],
    }


def _row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    speeds = (f"{median(found[side]):,.0f}" for side in ("one_samples_per_s", "several_samples_per_s"))
    losses = " ".join(f"{loss:.4f}" for loss in found["val_losses"])
    return name, f"{found['parameters']:,}", *speeds, f"{found['ratio']:.2f}", f"{found['steps_ratio']:.2f}", losses


if __name__ == "__main__":
    main()
