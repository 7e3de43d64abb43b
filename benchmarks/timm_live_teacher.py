"""Time an epoch with the teacher's logits cached, against timm's own distillation task, whose teacher runs live.

    .venv/bin/python benchmarks/timm_live_teacher.py [--samples 4096] [--repeats 5] [--size 0.5 --size 5]

Both sides train the same student (a convnet of 13,726 parameters from our families) with the same teacher (a residual
CNN of about 0.5, 5 and 25 million parameters, untrained, since the values of its logits do not affect a step's time) on
--samples samples of Fashion-MNIST, batch 128, float32, on one thread of one process, an epoch in turn: ours, timm,
ours, timm. The first epoch of each is a warm-up. The ratio of the medians is reported.

- Ours is `distill` of `distillation/training/loop.py`, from which a trial pulls epochs, with cached logits. Its
  validation is reduced to one sample, so that its time is the time of its steps.
- timm (https://github.com/huggingface/pytorch-image-models) is `timm.task.LogitDistillationTask` with its optimizer
  from `timm.optim.create_optimizer_v2` (AdamW, PyTorch's fused one) in the plain loop that its documentation shows.
  Instead of timm's loader it gets tensors that were normalised beforehand, so no step waits for data.

timm reads `pretrained_cfg`, `num_classes` and `in_chans` from its networks, and gets them as attributes; nothing else
is adapted. The largest difference between the weights after the first epoch shows that both do the same steps (it is
not 0, since our loss gradients are written out explicitly, and grows like any rounding difference); the largest
difference between the teacher's live and cached logits shows that both use the same teacher.

The cache costs, once for all epochs of all trials, one pass of the teacher over the samples, timed here as
`teacher pass` in batches of 128.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from typing import Any

import torch
from _measure import conclude, parser, show, spread, timed
from cache_against_live import WIDTHS, case, teacher
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.seeds import seed_of
from distill_tune.distillation.training.loop import distill

try:
    import timm
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
    from timm.task import LogitDistillationTask
except ImportError as error:
    sys.exit(f"timm_live_teacher.py needs timm ({error}); `pip install timm` installs it.")


class TimmLoop:
    """One student's training as timm does it."""

    def __init__(self, config: Config, materials: Materials, its_teacher: nn.Module):
        torch.manual_seed(seed_of(config.search.seed, "weights"))
        self.config, self.labels = config, materials.labels
        student = materials.build_student(config)
        self.inputs = student.get_submodule("normalise")(materials.train_inputs)
        self.student = student.get_submodule("network")
        self.task = LogitDistillationTask(
            as_timm(self.student, materials),
            as_timm(its_teacher, materials),
            criterion=nn.CrossEntropyLoss(),
            task_loss_weight=1 - config.loss.soft_weight,
            temperature=config.loss.temperature,
            verbose=False,
        )
        rate, decay = config.optim.learning_rate, config.optim.weight_decay
        self.optimizer = create_optimizer_v2(self.student, "adamw", lr=rate, weight_decay=decay, fused=True)
        self.epochs = 0

    def epoch(self) -> None:
        """Train one epoch."""
        self.task.train()
        for index in self._order():
            result = self.task(self.inputs[index], self.labels[index])
            self.optimizer.zero_grad()
            result["loss"].backward()
            self.optimizer.step()
        self.epochs += 1

    def _order(self) -> Iterator[Tensor]:
        """Our own order of samples, so that both sides do the same steps."""
        batch = self.config.optim.batch_size
        generator = torch.Generator().manual_seed(seed_of(self.config.search.seed, self.epochs, "order"))
        whole = len(self.labels) // batch * batch
        return iter(torch.randperm(len(self.labels), generator=generator)[:whole].split(batch))

    @torch.no_grad()
    def teacher_pass(self) -> Tensor:
        """The teacher's logits [samples, classes]."""
        parts = self.inputs.split(self.config.optim.batch_size)
        return torch.cat([self.task.teacher(part) for part in parts])


def as_timm(network: nn.Module, materials: Materials) -> nn.Module:
    """Add the attributes that timm's networks have; both sides' inputs are normalised alike."""
    data: Any = materials.dataset
    attributes: dict[str, Any] = {
        "pretrained_cfg": {"mean": tuple(data.mean), "std": tuple(data.std)},
        "num_classes": len(data.classes),
        "in_chans": data.input_shape[0],
    }
    for name, value in attributes.items():
        setattr(network, name, value)
    return network


def main() -> None:
    """Measure, size by size."""
    given = _arguments()
    torch.set_num_threads(1)
    found = {size: _measure(size, given) for size in given.size or WIDTHS}
    heads = (
        "teacher, M",
        "ours, s",
        "timm, s",
        "timm / ours",
        "teacher pass, s",
        "weights differ by",
        "logits differ by",
    )
    show(heads, [_row(size, one) for size, one in found.items()])
    versions = {"torch": torch.__version__, "timm": timm.__version__}
    conclude("timm_live_teacher", samples=given.samples, repeats=given.repeats, **versions, sizes=found)


def _arguments() -> Namespace:
    made = parser(__doc__)
    made.add_argument("--samples", type=int, default=4096)
    made.add_argument("--repeats", type=int, default=5, help="epochs of each side, after a warm-up")
    made.add_argument("--size", action="append", choices=list(WIDTHS), help="one of them; all, unless given")
    return made.parse_args()


def _measure(size: str, given: Namespace) -> dict[str, Any]:
    config, materials = case(size, "cached", given)
    theirs = TimmLoop(config, materials, teacher(*WIDTHS[size]))
    ours_s: list[float] = []
    timm_s: list[float] = []
    differences: list[float] = []
    with closing(distill(config, materials, config.search.seed)) as epochs:
        for _ in range(1 + given.repeats):
            seconds, epoch = timed(lambda: next(epochs))
            ours_s.append(seconds)
            timm_s.append(timed(theirs.epoch)[0])
            differences.append(_largest(epoch.student.parameters(), theirs.student.parameters()))
    pass_s, logits = timed(theirs.teacher_pass)
    assert materials.teacher is not None
    return {
        "parameters": sum(p.numel() for p in theirs.student.parameters()),
        "ours_s": ours_s[1:],
        "timm_s": timm_s[1:],
        "ratio": median(timm_s[1:]) / median(ours_s[1:]),
        "teacher_pass_s": pass_s,
        "weights_differ_by": differences[0],
        "logits_differ_by": _largest([materials.teacher.logits(0)], [logits]),
    }


@torch.no_grad()
def _largest(ones: Any, others: Any) -> float:
    return max(float((one - other).abs().max()) for one, other in zip(ones, others, strict=True))


def _row(size: str, one: dict[str, Any]) -> tuple[str, ...]:
    differences = (f"{one[key]:.1e}" for key in ("weights_differ_by", "logits_differ_by"))
    ratio, pass_s = f"{one['ratio']:.2f}", f"{one['teacher_pass_s']:.2f}"
    return size, spread(one["ours_s"]), spread(one["timm_s"]), ratio, pass_s, *differences


if __name__ == "__main__":
    main()
