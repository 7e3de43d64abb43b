"""In what precision and memory format students train: what is chosen, and that it changes nothing but the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from distill_tune.distillation.training.pace import Pace, fastest, laid_out, paces_s

PLAIN, LAST = Pace("float32", "contiguous"), Pace("float32", "channels_last")
HALF, BOTH = Pace("bfloat16", "contiguous"), Pace("bfloat16", "channels_last")


def convnet() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        ({PLAIN: 1.0, LAST: 0.99, HALF: 0.94, BOTH: 0.93}, PLAIN),
        ({PLAIN: 1.0, LAST: 0.7, HALF: 0.9, BOTH: 0.68}, LAST),
        ({PLAIN: 1.0, LAST: 0.7, HALF: 0.8, BOTH: 0.5}, BOTH),
        ({PLAIN: 1.0, LAST: 1.2, HALF: 0.6, BOTH: 0.7}, HALF),
        ({PLAIN: 1.0, HALF: 0.5}, HALF),
        ({PLAIN: 1.0, HALF: 1.1}, PLAIN),
    ],
    ids=["chance", "format", "both", "precision", "no kernels", "slower in bfloat16"],
)
def test_what_is_clearly_faster_is_chosen(times_s: dict[Pace, float], expected: Pace) -> None:
    assert fastest(times_s) == expected


def test_the_format_is_a_matter_of_kernels_alone() -> None:
    images, labels = torch.rand(8, 3, 8, 8), torch.randint(0, 4, (8,))
    assert set(paces_s(convnet, images, labels)) == {PLAIN, LAST, HALF, BOTH}
    assert set(paces_s(lambda: nn.Linear(5, 4), torch.rand(8, 5), labels)) == {PLAIN, HALF}


def test_another_format_gives_the_same_logits_and_gradients_but_for_rounding() -> None:
    images = torch.rand(8, 3, 8, 8)
    logits, gradients = [], []
    for form in ("contiguous", "channels_last"):
        network = laid_out(convnet(), form)
        logits.append(network(images))
        logits[-1].square().sum().backward()
        gradients.append(network.get_parameter("0.weight").grad)
    torch.testing.assert_close(*logits)
    torch.testing.assert_close(*gradients)


ALL_OF_A_TRAINING = """
import sys
from pathlib import Path
from distill_tune.train import main
status = main([*sys.argv[1:], "--set", "search.max_epochs=1"])
print("compiler" if "torch._dynamo" in sys.modules else "none", file=sys.stderr)
sys.exit(status)
"""


def test_a_training_with_a_teacher_of_its_own_never_loads_the_compiler_which_takes_100_mb(tmp_path: Path) -> None:
    space = tmp_path / "run.toml"
    space.write_text(RUN, encoding="utf-8")
    command = [sys.executable, "-c", ALL_OF_A_TRAINING, str(space), "--storage", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert done.stderr.splitlines()[-1] == "none"


RUN = """
[data]
source = "digits"
[teacher]
source = "train"
family = "mlp"
[teacher.mlp]
widths = [32]
[teacher.train]
epochs = 1
[student]
family = "mlp"
[loss]
kind = "soft_targets"
"""
