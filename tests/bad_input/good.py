"""Good input; each test spoils one thing in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from runs import FILES

PROJECT = Path(__file__).parents[2]
Refuse = Callable[..., str]
SPACE = f"""{FILES}
[student.mlp]
width = {{ log_int = [8, 16] }}
"""
TEACHERS = """
import torch

def net(width=4):
    return torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.ReLU(), torch.nn.Linear(width, 3))

def wide():
    return torch.nn.Linear(7, 3)

def four_classes():
    return torch.nn.Linear(3, 4)

def number():
    return 3

def fails():
    raise OSError("no licence\\nfound")

def ends():
    raise SystemExit(0)

not_a_function = 3
"""


def rows(count: int = 60, classes: int = 3) -> pd.DataFrame:
    inputs = np.random.default_rng(0).normal(size=(count, 3)).round(4)
    return pd.DataFrame(inputs, columns=["height", "width", "weight"]).assign(kind=np.arange(count) % classes)


def contents(folder: Path) -> dict[str, bytes | None]:
    found = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {str(path): path.read_bytes() if path.is_file() else None for path in found}
