"""Several teachers: each runs once and is kept separately, and trials mix them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ensembles import BIG, FLOAT32, SMALL, Ready, space_of
from hypothesis import given
from hypothesis import strategies as st
from runs import IMAGES, run_space
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.cache.labelling import label_inputs
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.errors import ConfigError
from distill_tune.teachers import LoadedTeacher
from distill_tune.teachers.mixing import Mix
from distill_tune.tuning.planning.footprint import _teacher_parameters
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import Logbook


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


logits_of_two = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(size=(2, 5, 3)) * 4)


# The mix


@given(logits=logits_of_two, share=st.floats(0.01, 0.99), temperature=st.floats(0.5, 20))
def test_a_mean_of_logits_is_the_geometric_mean_of_softened_probabilities(
    logits: np.ndarray, share: float, temperature: float
) -> None:
    one, other = logits
    mixed = mix_of({"a": share, "b": 1 - share}, "logits", one, other)
    product = softmax(one / temperature) ** share * softmax(other / temperature) ** (1 - share)
    np.testing.assert_allclose(softmax(mixed / temperature), product / product.sum(1, keepdims=True), atol=1e-9)


@given(logits=logits_of_two, share=st.floats(0.01, 0.99))
def test_a_mean_of_probabilities_is_that(logits: np.ndarray, share: float) -> None:
    one, other = logits
    mixed = mix_of({"a": share, "b": 1 - share}, "probabilities", one, other)
    np.testing.assert_allclose(softmax(mixed), share * softmax(one) + (1 - share) * softmax(other), atol=1e-6)


@given(logits=logits_of_two, share=st.floats(0.01, 0.99))
def test_a_mean_of_probabilities_has_the_rows_means_of_one_of_logits(logits: np.ndarray, share: float) -> None:
    one, other = logits
    weights = {"a": share, "b": 1 - share}
    rows = [mix_of(weights, average, one, other).mean(1) for average in ("logits", "probabilities")]
    np.testing.assert_allclose(*rows, atol=1e-6)
    np.testing.assert_allclose(mix_of(weights, "probabilities", one, one), one, atol=1e-6)  # the same as one alone


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_one_alone_is_itself(average: str) -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_array_equal(mix_of({"b": 1.0}, average, one, other), other)


def mix_of(weights: dict[str, float], average: Any, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return Mix(weights, average).of({"a": torch.from_numpy(one), "b": torch.from_numpy(other)}).numpy()


def test_a_mix_is_labelled_part_by_part_and_no_members_logits_are_held_for_all_samples() -> None:
    rows = np.random.default_rng(0).normal(size=(2500, 3)).astype(np.float32)
    ran: list[str] = []

    class Member(nn.Module):
        def __init__(self, name: str, scale: float):
            super().__init__()
            self.name, self.scale = name, scale

        def forward(self, inputs: Tensor) -> Tensor:
            ran.append(self.name)
            return self.scale * inputs

    members = {name: LoadedTeacher(0, Member(name, scale)) for name, scale in (("a", 1.0), ("b", 3.0))}
    teacher = LoadedTeacher(0, members=members, mix=Mix({"a": 0.5, "b": 0.5}, "logits"))
    np.testing.assert_allclose(label_inputs(teacher, rows, np.arange(2500)), 2 * rows, rtol=1e-6)
    assert ran == ["a", "b"] * 3


# Preparation


def test_each_member_is_kept_by_itself_and_is_the_one_that_it_would_be_alone(tmp_path: Path) -> None:
    said: list[str] = []
    alone = prepare(run_space(teacher=BIG), tmp_path, said.append).prepared.teacher_folder
    several = prepare(space_of(), tmp_path, said.append).prepared
    assert sum("training the teacher" in line for line in said) == 2
    assert several.member_folders["big"] == alone
    assert several.member_folders["small"] != alone
    assert [line.split(":")[0] for line in said if "val/accuracy" in line and "epoch" not in line] == [
        "teacher",
        "teacher big",
        "teacher small",
    ]
    before = len(said)
    prepare(space_of(weights={"big": 3.0}, average="probabilities", use=["big", "small"]), tmp_path, said.append)
    assert not any("training" in line or "labels" in line for line in said[before:])


def test_each_line_says_which_member_it_is_about(tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(size=(600, 4))
    logits[:3] = 0
    np.save(tmp_path / "old.npy", logits)
    members, said = {"big": BIG, "old": {"source": "logits", "path": str(tmp_path / "old.npy")}}, list[str]()
    prepare(space_of(members), tmp_path / "cache", said.append)
    for beginning in (
        "teacher big: training the teacher (mlp) for 4 epochs",
        "teacher big: epoch 4 of 4: val/accuracy ",
        "teacher big: labels ",
        "teacher big: val/accuracy ",
        "teacher old: labels ",
        "warning: teacher old: 3 rows of its logits are all 0",
    ):
        assert sum(line.startswith(beginning) for line in said) == 1, (beginning, said)


def test_a_result_has_each_members_outputs_under_its_own_name(ready: Ready, tmp_path: Path) -> None:
    """So that it can be resumed when the shared cache is gone."""
    config, preparation = ready(space_of())
    logbook = Logbook(tmp_path / "result")
    linked = Claim(tmp_path / "result", logbook).link(preparation.prepared)
    logbook.release()
    assert all(folder.parent == tmp_path / "result" / "cache" for folder in linked.member_folders.values())
    own, shared = (Materials.open(each, config).teacher for each in (linked, preparation.prepared))
    assert own is not None
    assert shared is not None
    assert torch.equal(own.validation, shared.validation)


def test_members_whose_files_have_the_same_content_are_linked_once(ready: Ready, tmp_path: Path) -> None:
    rows = run_space().config.data.chosen("source").samples
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32))
    members = {name: {"source": "logits", "path": str(tmp_path / f"{name}.npy")} for name in ("a", "b")}
    _, preparation = ready(space_of(members))
    logbook = Logbook(tmp_path / "result")
    linked = Claim(tmp_path / "result", logbook).link(preparation.prepared)
    logbook.release()
    assert linked.member_folders["a"] == linked.member_folders["b"]
    assert any(linked.member_folders["a"].rglob("*.arrow"))


@pytest.mark.parametrize("folds", [None, 2])
def test_members_whose_files_have_the_same_content_are_said_once(tmp_path: Path, folds: int | None) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1), ("d", 0)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(seed).normal(size=(600, 4)))
    members = {name: {"source": "logits", "path": str(tmp_path / f"{name}.npy")} for name in "abcd"}
    data = run_space().tables["data"] | ({} if folds is None else {"folds": folds})
    said = list[str]()
    prepare(space_of(members=members, base=run_space().tables | {"data": data}), tmp_path / "cache", said.append)
    twins = [line.split(",")[0] for line in said if "same teacher" in line]
    assert twins == [f"warning: teacher.ensemble.members: 'a' and {name!r} are the same teacher" for name in ("b", "d")]


def test_a_trial_learns_from_the_mix_that_it_says(ready: Ready) -> None:
    single = {name: logits_seen(ready(run_space(teacher=table))) for name, table in (("big", BIG), ("small", SMALL))}
    mixed = logits_seen(ready(space_of(weights={"big": 3.0})))
    for view in mixed:
        torch.testing.assert_close(mixed[view], 0.75 * single["big"][view] + 0.25 * single["small"][view])
    only = logits_seen(ready(space_of(use="small", weights={"small": 5.0})))
    assert all(torch.equal(only[view], single["small"][view]) for view in only)


def logits_seen(run: tuple[Config, Any]) -> dict[str, Tensor]:
    config, preparation = run
    outputs = Materials.open(preparation.prepared, config).teacher
    assert outputs is not None
    return {"validation": outputs.validation, **{str(view): outputs.logits(view) for view in range(outputs.num_views)}}


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_live_members_give_the_losses_of_cached_ones(ready: Ready, average: str) -> None:
    base = {**run_space(IMAGES).tables, "augmentation": {"shift": 1}}
    small = {"family": "mlp", "mlp": {"widths": [8]}, "train": FLOAT32}
    losses = []
    for mode in ("cached", "live"):
        space = space_of({"a": small, "b": BIG}, {"mode": mode}, base, weights={"a": 2.0}, average=average)
        config, preparation = ready(space)
        materials = Materials.open(preparation.prepared, config)
        losses.append([epoch.report["train/soft_loss"] for epoch in distill(config, materials, 0)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_member_may_be_a_file_of_logits(ready: Ready, tmp_path: Path) -> None:
    _, preparation = ready(run_space(teacher=BIG))
    table = np.random.default_rng(0).normal(size=(preparation.dataset.num_source_rows, 4)).astype(np.float32)
    np.save(tmp_path / "logits.npy", table)
    members = {"big": BIG, "file": {"source": "logits", "path": str(tmp_path / "logits.npy")}}
    _, several = ready(space_of(members))
    split = several.dataset.split("validation")
    expected = (label_inputs(preparation.teacher, split.inputs, split.index) + table[split.index]) / 2
    np.testing.assert_allclose(label_inputs(several.teacher, split.inputs, split.index), expected, rtol=1e-5, atol=1e-5)
    base = {**run_space().tables, "augmentation": {"mixup": 0.2}}
    with pytest.raises(ConfigError, match="the teacher must label what the student sees"):
        ready(space_of(members, base=base))


def test_the_room_that_is_asked_for_counts_every_member() -> None:
    several, alone = space_of(), run_space(teacher=BIG)
    data = Dataset(Path(), tuple("abcd"), (8,), (), (), None, "", (), "hidden", {"train": 9, "validation": 3}, 12)
    assert _teacher_parameters(alone, data) == 316
    assert _teacher_parameters(several, data) == 316 + 82
    assert _teacher_parameters(space_of(use="small"), data) == 82
