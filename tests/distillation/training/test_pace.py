"""The precision and memory format in which students train: what is chosen, and that only the time changes."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from distill_tune.distillation.precision import precisions_of, resolved
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
        ({PLAIN: 1.0, LAST: 0.9}, LAST),
    ],
    ids=["chance", "format", "both", "precision", "no kernels", "slower in bfloat16", "no bfloat16"],
)
def test_what_is_clearly_faster_is_chosen(times_s: dict[Pace, float], expected: Pace) -> None:
    assert fastest(times_s) == expected


def test_the_format_is_a_matter_of_kernels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    images, labels = torch.rand(8, 3, 8, 8), torch.randint(0, 4, (8,))
    assert set(paces_s(convnet, images, labels)) == {PLAIN, LAST, HALF, BOTH}
    assert set(paces_s(lambda: nn.Linear(5, 4), torch.rand(8, 5), labels)) == {PLAIN, HALF}


@pytest.mark.parametrize(("has_bfloat16", "usual"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_is_not_timed_in_a_precision_that_it_only_imitates(
    has_bfloat16: bool, usual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    gpu = torch.device("cuda")
    assert precisions_of(gpu) == (("float32", "bfloat16") if has_bfloat16 else ("float32",))
    assert resolved("auto", gpu) == usual, "what is usual where nothing is measured"


@pytest.mark.parametrize(
    ("machine", "capability", "imitates"),
    [
        ("x86_64", "AVX512", False),
        ("x86_64", "AVX2", True),
        ("AMD64", "DEFAULT", True),
        ("aarch64", "DEFAULT", False),
        ("arm64", "SVE256", False),
    ],
)
def test_a_processor_is_not_timed_in_a_precision_that_it_only_imitates(
    machine: str, capability: str, imitates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timing bfloat16 for the teacher of Fashion-MNIST took four and a half minutes, only to reject it."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    cpu = torch.device("cpu")
    assert precisions_of(cpu) == (("float32",) if imitates else ("float32", "bfloat16"))
    assert resolved("auto", cpu) == "float32"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_formats_are_timed_too_and_no_kernel_is_refused() -> None:
    images, labels = torch.rand(8, 1, 8, 8, device="cuda"), torch.zeros(8, dtype=torch.long, device="cuda")
    assert {PLAIN, LAST} <= set(paces_s(lambda: short_cut(2, 2).cuda(), images, labels))


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


def short_cut(channels: int, stride: int) -> nn.Module:
    """A strided 1x1 convolution, as in a resnet's shortcut."""
    kernels = nn.Conv2d(1, channels, 3, padding=1), nn.Conv2d(channels, 8, 1, stride=stride)
    return nn.Sequential(*kernels, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


@pytest.mark.parametrize(("channels", "stride"), [(2, 2), (7, 2), (8, 2), (2, 1)])
@pytest.mark.parametrize("processor", ["AVX2", "AVX512"])
def test_channels_last_is_left_out_where_onednn_would_write_past_its_memory(
    channels: int, stride: int, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
    network = laid_out(nn.Sequential(nn.Conv2d(3, 8, 3), short_cut(channels, stride)), "channels_last")
    lies_last = not network.get_parameter("0.weight").is_contiguous()
    assert lies_last == (processor == "AVX512" or channels >= 8 or stride == 1)


NARROW = """
import torch
from torch import nn
from distill_tune.distillation.training.pace import paces_s
def make():
    kernels = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 1, stride=2)
    return nn.Sequential(*kernels, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
for _ in range(20):
    paces_s(make, torch.rand(128, 1, 8, 8), torch.randint(4, (128,)))
print(torch.backends.cpu.get_cpu_capability())
"""


def test_paces_of_a_narrow_short_cut_are_timed_on_a_processor_without_avx_512() -> None:
    older = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    older |= {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3"}  # glibc kills it if it overruns a buffer
    command = [sys.executable, "-c", NARROW]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | older, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout in ("AVX2\n", "DEFAULT\n", "NO AVX\n")


ALL_OF_A_TRAINING = """
import sys
from distill_tune.export import student_folder
from distill_tune.train import main

def look(folder, network, inputs, names):  # where the student would be written as a program, by PyTorch's compiler
    print("compiler" if "torch._dynamo" in sys.modules else "none", file=sys.stderr)
    return {}

student_folder.write_programs = look
sys.exit(main([*sys.argv[1:], "--set", "search.max_epochs=1"]))
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
