"""Invalid custom data sources and students, refused before anything is made."""

import re
from pathlib import Path

import pytest
from good import Refuse

from distill_tune.search import main

PARTS = """
import numpy as np
import pandas as pd
import torch
from torch import nn
from distill_tune.data import RawImages, RawTable
from distill_tune.data.sources import Source

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("xyz"))
LABELS = np.arange(60) % 3


class Data(Source):
    def content(self, config):
        return "made here"

    def load(self, config):
        return RawTable(**{**dict(frame=FRAME, labels=LABELS, classes=("a", "b", "c"), where="mine"), **self.other()})

    def other(self):
        return {}


class Lists(Data):
    def other(self):
        return {"labels": list(LABELS), "classes": ["a", "b", "c"]}


class Nothing(Data):
    def load(self, config):
        return None


class Numbered(Data):
    def other(self):
        return {"classes": (1, 2, 3)}


class Text(Data):
    def other(self):
        return {"classes": "abc"}


class Unknown(Data):
    def other(self):
        return {"own_test": None}


class Images(Data):
    def load(self, config):
        return RawImages(inputs=[[0]], labels=LABELS, classes=("a", "b", "c"), where="mine")


class Array(Data):
    def other(self):
        return {"frame": FRAME.to_numpy()}


class Negative(Data):
    def other(self):
        return {"own_test": -3}


class Raises(Data):
    def other(self):
        raise KeyError("k")


class Digest(Data):
    def content(self, config):
        return b"made here"


class Count(Data):
    def content(self, config):
        return np.int64(60)


class Ends(Data):
    def content(self, config):
        raise SystemExit(0)


class Lazy(nn.Sequential):
    def __init__(self, input_shape, classes):
        super().__init__(nn.LazyLinear(classes))


class Frozen(nn.Sequential):
    def __init__(self, input_shape, classes):
        super().__init__(nn.Linear(input_shape[0], classes))
        self.requires_grad_(False)


class Wide(nn.Sequential):
    def __init__(self, input_shape, classes, width: int = 8):
        super().__init__(nn.Linear(input_shape[0], width), nn.Linear(width, classes))


class Pair(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        self.layer = nn.Linear(input_shape[0], classes)

    def forward(self, inputs):
        return self.layer(inputs), inputs


class Untrainable(nn.Sequential):
    def __init__(self, input_shape, classes):
        super().__init__(nn.Linear(input_shape[0], classes))

    def train(self, mode=True):
        raise RuntimeError("it cannot train")
"""
WHOLE = """student."own_parts:Wide".width: must be an integer, but got 2.0. Write { int = [2, 8] }."""
TRAINED = ("teacher={ source = 'train', family = 'mlp', train = { epochs = 1 } }",)


@pytest.fixture(autouse=True)
def _parts(folder: Path) -> None:
    (folder / "own_parts.py").write_text(PARTS)


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nothing", "data.source: 'own_parts:Nothing' must load RawImages or a RawTable, but has loaded NoneType; let"),
        ("Numbered", "mine: classes must be a tuple of names, but are [1, 2, 3]; name each."),
        ("Text", "mine: classes must be a tuple of names, but are 'abc'; name each."),
        ("Unknown", "mine: own_test must be a number of rows below 60, but is None; count the last rows that are the"),
        ("Images", "mine: images must be a NumPy array, but are list; make one of them."),
        ("Array", "mine: a table must be a pandas.DataFrame, but is ndarray; make one of it."),
        ("Negative", "mine: own_test must be a number of rows below 60, but is -3; count the last rows that are the"),
        ("Raises", "Raises.other in own_parts.py, line N, has raised KeyError: 'k'; mend it."),
        ("Ends", "Ends.content in own_parts.py, line N, has ended the program; mend it."),
        ("Digest", "data.source: content of 'own_parts:Digest' must return text, but has returned bytes; let it"),
        ("Count", "data.source: content of 'own_parts:Count' must return text, but has returned int64; let it"),
    ],
)
def test_data_of_ones_own_that_are_not_what_they_must_be(
    refuse: Refuse, arguments: tuple[str, ...], name: str, said: str
) -> None:
    told = refuse(f"data={{ source = 'own_parts:{name}' }}", *TRAINED, arguments=arguments)
    assert f"error: {said}" in re.sub(r"line \d+", "line N", told)


def test_labels_and_classes_may_be_lists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("data={ source = 'own_parts:Lists' }", *TRAINED)
    assert main(["space.toml", "--dry-run", *(word for each in settings for word in ("--set", each))]) == 0
    assert "classes, in order: a, b, c" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Lazy", "student.family: 'own_parts:Lazy' has layers that take their sizes from the first batch (LazyLinear"),
        ("Frozen", "student.family: 'own_parts:Frozen' has no weights that train; let some require gradients."),
        ("Wide', 'own_parts:Wide' = { width = { uniform = [2, 8] } }, init = 'default", WHOLE),
        ("Pair", "student.family: the network must give logits of shape (1, 3), but gave (tensor("),
        (
            "Untrainable",
            "student.family: Untrainable.train in own_parts.py, line N, has raised RuntimeError: it cannot train; mend",
        ),
    ],
)
def test_students_of_ones_own_that_cannot_train(
    refuse: Refuse, arguments: tuple[str, ...], name: str, said: str
) -> None:
    told = refuse(f"student={{ family = 'own_parts:{name}' }}", arguments=arguments)
    assert f"error: {said}" in re.sub(r"line \d+", "line N", told)
