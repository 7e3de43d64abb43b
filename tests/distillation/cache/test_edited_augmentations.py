"""A custom augmentation that is edited during a search: workers still find the teacher's earlier outputs."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_trainings import Make

from distill_tune.distillation.preparation.prepare import prepare

OWN = """
from distill_tune.distillation.augmentation import Transform

class Shift(Transform):
    for_tables = True

    def apply(self, inputs, draw):
        return inputs + self.amount * (draw.uniform("shift").unsqueeze(1) - 0.5)
"""
TRAINS = """
import pickle, sys
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.loop import distill

config, prepared = pickle.load(sys.stdin.buffer)
for part in (prepared, *prepared.folds):
    print(len([epoch for epoch in distill(config, Materials.open(part, config), seed=0)]), end=" ")
"""
FAMILY: dict[str, Any] = {"source": "train", "family": "mlp"}
MEMBERS = {name: FAMILY | {"train": {"epochs": epochs}} for name, epochs in (("one", 1), ("other", 2))}


@pytest.mark.parametrize(
    "sections",
    [
        {"loss": {"kind": "hint"}, "data": {"folds": 2}},
        {"teacher": {"source": "ensemble", "ensemble": {"members": MEMBERS}, "views": 2}},
    ],
    ids=["features and folds", "several teachers"],
)
def test_a_worker_that_begins_after_an_edit_trains_on(
    table_space: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_shift", raising=False)
    Path("own_shift.py").write_text(OWN)
    base = {"teacher": {"train": {"epochs": 1}, "views": 2}, "augmentation": {"own_shift:Shift": 0.5}}
    space = table_space(**(base | sections))
    prepared = prepare(space, tmp_path / "cache", lambda line: None).prepared
    Path("own_shift.py").write_text(f"{OWN}# edited\n")
    worker = subprocess.run(
        [sys.executable, "-c", TRAINS], input=pickle.dumps((space.config, prepared)), capture_output=True, check=False
    )
    assert not worker.returncode, worker.stderr.decode()
    assert worker.stdout.split() == [b"3"] * (1 + len(prepared.folds))
