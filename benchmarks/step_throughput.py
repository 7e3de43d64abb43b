"""Samples per second in a trial, against a bare PyTorch loop that does the same steps on the same cached logits.

    .venv/bin/python benchmarks/step_throughput.py [--case fashion-convnet] [--repeats 7]

Both sides train the same student from the same weights with the same optimizer, loss, batch size and order of samples,
on one thread of one process, an epoch in turn: ours, bare, ours, bare. The first epoch of each is a warm-up. Ours uses
the precision and memory format that a search would choose after its short timing; the bare loop uses float32, as one
would write it. With --plain ours does too; the largest difference between their weights after the first epoch then
shows that both do the same steps. It is not 0, since our loss gradients are written out explicitly, and grows from
step to step like any rounding difference.

- Ours is `distill` of `distillation/training/loop.py`, the generator from which a trial pulls epochs. Its validation is
  reduced to one sample, so that its time is the time of its steps; nothing is subtracted.
- Bare is `_bare_loop.py`: what one writes in a notebook. It keeps one running loss and does nothing else: no
  learning-rate schedule (both sides run at a constant rate). Its inputs are prepared outside the measurement.

The ratio of our epoch to the bare one after it is taken pair by pair, and the median is reported: above 1 we are
faster. `CPU` is the same by the process's CPU time, which other programs on the machine disturb less. The teacher has
trained for one epoch, since the values of its logits do not affect a step's time.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from _bare_loop import Bare
from _measure import PLAIN_TEACHER, ROOT, conclude, parser, show
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.config.load import load_space
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.pace import Pace
from distill_tune.distillation.training.run import Epoch
from distill_tune.tuning.planning.estimate import chosen_paces

RECIPE = (
    "loss.kind='soft_targets'",
    "loss.temperature=4.0",
    "loss.soft_weight=0.5",
    "optim.learning_rate=1e-3",
    "optim.weight_decay=1e-4",
    "optim.batch_size=128",
    "optim.schedule='constant'",
)
PLAIN = ("augmentation.flip=0.0", "augmentation.shift=0", "augmentation.cutout=0")
AUGMENTED = ("augmentation.flip=0.5", "augmentation.shift=2", "augmentation.cutout=8")
MLP = ("student.family='mlp'", "student.mlp.width=64", "student.mlp.depth=2", "student.mlp.activation='relu'")
CONVNET = (
    "student.family='convnet'",
    "student.convnet.width=12",
    "student.convnet.depth=3",
    "student.convnet.separable=false",
)
RESNET = (
    "student.family='resnet'",
    "student.resnet.width=8",
    "student.resnet.depth=1",
    "student.resnet.stages=3",
    "student.resnet.first_stride=2",
)
LETTER, FASHION = "search_spaces/letter.toml", "search_spaces/fashion_mnist.toml"
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "letter-mlp": (LETTER, MLP),
    "fashion-convnet": (FASHION, CONVNET + PLAIN),
    "fashion-resnet": (FASHION, RESNET + PLAIN),
    "fashion-convnet-augmented": (FASHION, CONVNET + AUGMENTED),
}


@dataclass(frozen=True)
class Timing:
    """Time of one epoch."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure case after case."""
    given = _arguments()
    torch.set_num_threads(1)
    cases = {name: _measure(name, given) for name in given.case or CASES}
    heads = ("case", "pace", "parameters", "ours, samples/s", "bare, samples/s", "ratio", "CPU", "weights differ by")
    show(heads, [_row(name, found) for name, found in cases.items()])
    conclude("step_throughput", repeats=given.repeats, torch=torch.__version__, cases=cases)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--case", action="append", choices=list(CASES), help="one of them; all, unless given")
    made.add_argument("--repeats", type=int, default=7, help="epochs of each side, after the warm-up")
    made.add_argument("--plain", action="store_true", help="ours in float32 and contiguous memory, whatever is faster")
    return made.parse_args()


def _measure(name: str, given: Namespace) -> dict[str, Any]:
    config, materials = _case(name, given.storage, given.repeats, given.plain)
    bare = Bare(config, materials)
    ours: list[Timing] = []
    theirs: list[Timing] = []
    differences: list[float] = []
    with closing(distill(config, _hardly_validated(materials), config.search.seed)) as epochs:
        for _ in range(1 + given.repeats):
            timing, epoch = _timed(lambda: next(epochs))
            ours.append(timing)
            theirs.append(_timed(bare.epoch)[0])
            differences.append(_largest_difference(epoch, bare.student))
    return _figures(ours[1:], theirs[1:], config, materials) | {"difference": differences[0]}


def _case(name: str, storage: Path, repeats: int, is_plain: bool) -> tuple[Config, Materials]:
    path, chosen = CASES[name]
    length = f"search.max_epochs={repeats + 2}"  # the last epoch of a training measures the gap as well
    space = load_space(ROOT / path, [*PLAIN_TEACHER, *RECIPE, *chosen, length])
    preparation = prepare(space, storage / ".cache", print)
    family, plain = space.config.student.family, Pace("float32", "contiguous")
    pace = plain if is_plain else chosen_paces(space, preparation.dataset)[family]
    for key, value in pace._asdict().items():
        space = space.with_fixed("optim", key, value)
    return space.at({}), Materials.open(preparation.prepared, space.at({}))


def _hardly_validated(materials: Materials) -> Materials:
    """The same materials, with one validation sample."""
    assert materials.teacher is not None
    materials.teacher.validation = materials.teacher.validation[:1]
    inputs, labels = materials.validation_inputs[:1], materials.validation_labels[:1]
    return replace(materials, validation_inputs=inputs, validation_labels=labels)


def _timed(work: Callable[[], Any]) -> tuple[Timing, Any]:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    done = work()
    return Timing(time.perf_counter() - wall_s, time.process_time() - cpu_s), done


def _figures(ours: list[Timing], bare: list[Timing], config: Config, materials: Materials) -> dict[str, Any]:
    samples = len(materials.labels) // config.optim.batch_size * config.optim.batch_size
    pairs = list(zip(ours, bare, strict=True))
    return {
        "pace": f"{config.optim.precision} {config.optim.memory_format}",
        "parameters": sum(p.numel() for p in materials.build_student(config).parameters()),
        "ours_samples_per_s": samples / median(one.wall_s for one in ours),
        "bare_samples_per_s": samples / median(one.wall_s for one in bare),
        "ratio": median(b.wall_s / o.wall_s for o, b in pairs),
        "cpu_ratio": median(b.cpu_s / o.cpu_s for o, b in pairs),
    }


@torch.no_grad()
def _largest_difference(epoch: Epoch, bare: nn.Module) -> float:
    pairs: Iterator[tuple[Tensor, Tensor]] = zip(epoch.student.parameters(), bare.parameters(), strict=True)
    return max(float((one - other).abs().max()) for one, other in pairs)


def _row(name: str, found: dict[str, Any]) -> tuple[object, ...]:
    speeds = (f"{found[side]:,.0f}" for side in ("ours_samples_per_s", "bare_samples_per_s"))
    ratios = (f"{found[key]:.3f}" for key in ("ratio", "cpu_ratio"))
    return name, found["pace"], f"{found['parameters']:,}", *speeds, *ratios, f"{found['difference']:.1e}"


if __name__ == "__main__":
    main()
