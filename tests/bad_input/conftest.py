"""A search space on good files, and fixtures that check how it is refused."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from good import SPACE, TEACHERS, Refuse, contents, rows
from safetensors.torch import save_file

from distill_tune.search import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a valid search space, data and teacher logits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "space.toml").write_text(SPACE)
    rows().to_csv("data.csv", index=False)
    np.save("teacher.npy", np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32))
    return tmp_path


@pytest.fixture
def refuse(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Refuse]:
    """`refuse("loss.temperature=-3")`: the error for `space.toml` with that setting."""

    def started(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("ray.init", started)

    def refused(*settings: str, arguments: tuple[str, ...] = ("space.toml",)) -> str:
        before = contents(folder)
        given = [word for setting in settings for word in ("--set", setting)]
        try:
            status = main([*arguments, *given])
        except SystemExit as error:  # how argparse exits
            status = int(str(error.code))
        said = capsys.readouterr()
        assert status == 2, said.err
        assert re.fullmatch(r"error: .+[.?]\n", said.err), said.err
        assert "training the teacher" not in said.out
        assert contents(folder) == before
        return said.err

    return refused


@pytest.fixture
def refuse_torch(refuse: Refuse, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Like `refuse`, for a PyTorch teacher with weights of `my_teachers:net`."""
    monkeypatch.delitem(sys.modules, "my_teachers", raising=False)
    (folder / "my_teachers.py").write_text(TEACHERS)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    save_file(network.state_dict(), folder / "weights.safetensors")

    def refused(factory: str, *settings: str) -> str:
        return refuse(
            "teacher.source=torch", "teacher.path=weights.safetensors", f"teacher.torch.factory={factory}", *settings
        )

    return refused
