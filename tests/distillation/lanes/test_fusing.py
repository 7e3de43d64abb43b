"""Which students can share lanes: plain chains of layers that see the same data, with a loss that supports lanes."""

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import IMAGES, run_space
from small_lanes import Sections
from torch import Tensor, nn

from distill_tune.data import prepare_data
from distill_tune.distillation.lanes.chain import chain_of
from distill_tune.distillation.lanes.fused import fusing_key
from distill_tune.distillation.lanes.network import LaneNetwork
from distill_tune.distillation.materials.materials import Materials, Prepared
from distill_tune.distillation.optimizers._direct import DirectOptimizer
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.run import Run
from distill_tune.registry import LOSSES, OPTIMIZERS, STUDENTS
from distill_tune.students._blocks import Normalised


def test_a_loss_over_lanes_is_that_of_each_lane() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 8, 5).unbind()
    temperatures, labels = torch.tensor([1.0, 2.0, 7.0]), torch.randint(0, 5, (3, 8))
    for name in LOSSES.names:
        if LOSSES.get(name).over_lanes and LOSSES.get(name).uses_teacher:
            loss: Any = LOSSES.get(name)()
            together = loss.soft_with_labels(student, teacher, temperatures, labels)
            each = [loss.soft_with_labels(*lane) for lane in zip(student, teacher, temperatures.tolist(), labels)]  # noqa: B905
            torch.testing.assert_close(together, torch.stack(each), msg=name)


def test_students_that_normalise_their_inputs_otherwise_share_no_lanes(tmp_path: Path) -> None:
    def key(mean: float) -> str | None:
        run = Run(config, materials, 0, torch.device("cpu"))
        run.student.get_buffer("normalise.mean").fill_(mean)
        return fusing_key(run)

    config = run_space({**IMAGES, "student": {"family": "mlp"}}, loss={"kind": "labels"}).config
    materials = Materials.open(Prepared(prepare_data(config.data, tmp_path).folder, None), config)
    assert key(1.0) == key(1.0) is not None
    assert key(1.0) != key(2.0)


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_an_optimizer_that_steps_lanes_is_one_whose_memories_lanes_can_hold(name: str) -> None:
    kind = OPTIMIZERS.get(name)()
    made = kind.build(nn.Linear(3, 2), 0.1, 0.0)
    assert isinstance(made, DirectOptimizer) or not kind.over_lanes


class Odd(nn.Linear):
    """A subclass, which may do anything."""


class Skipping(nn.Sequential):
    """A sequence in name only."""

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = super().forward(rows) + rows[:, :2]
        return found


def layer_twice() -> nn.Module:
    again = nn.Linear(8, 8)
    return nn.Sequential(again, nn.ReLU(), again, nn.ReLU(), nn.Linear(8, 2))


def weights_twice() -> nn.Module:
    network = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    network[2].weight = network[0].weight
    return network


def hooked(register: str, part: int) -> nn.Module:
    network = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    getattr(network[part], register)(lambda *_: None)
    return network


def with_a_frozen_bias() -> nn.Module:
    network = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    network[0].bias.requires_grad_(False)
    return network


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(8, 4, bias=False), nn.ReLU(), nn.Linear(4, 2)),
        nn.Sequential(Odd(8, 4), nn.ReLU(), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU()),
        nn.Sequential(nn.Linear(8, 4), nn.GELU("tanh"), nn.Linear(4, 2)),
        nn.Sequential(nn.Linear(8, 2)),
        Skipping(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)),
        layer_twice(),
        weights_twice(),
        nn.Sequential(nn.utils.spectral_norm(nn.Linear(8, 4)), nn.ReLU(), nn.Linear(4, 2)),
        hooked("register_forward_hook", 1),
        hooked("register_forward_pre_hook", 2),
        hooked("register_full_backward_hook", 0),
        with_a_frozen_bias(),
        nn.Sequential(nn.Flatten(0), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)),
    ],
    ids=[
        "two activations",
        "tanh",
        "no bias",
        "a derived layer",
        "an activation last",
        "another GELU",
        "no hidden layer",
        "a forward pass of its own",
        "a layer twice",
        "weights twice",
        "normalised weights",
        "a hook",
        "a hook before",
        "a hook on gradients",
        "a frozen bias",
        "another flattening",
    ],
)
def test_a_network_that_is_no_chain_is_seen(network: nn.Module) -> None:
    assert chain_of(Normalised(None, network)) is None


def test_a_plain_chain_is_seen() -> None:
    found = chain_of(Normalised(None, nn.Sequential(nn.Flatten(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))))
    assert found is not None
    assert found.depth == 1


def test_a_student_that_sees_the_labelled_rows_alone_is_not_fused_with_one_that_sees_all(tmp_path: Path) -> None:
    few: Sections = {"data": {"student_samples": 0.5, "rest": "unlabelled"}, "optim": {"batch_size": 8}}
    prepared = prepare(run_space(**few), tmp_path, lambda line: None).prepared
    configs = [run_space(**few, loss={"kind": kind}).config for kind in ("labels", "soft_targets")]
    one, other = (Run(c, Materials.open(prepared, c), 0, torch.device("cpu")) for c in configs)
    assert one.batches.steps_per_epoch == other.batches.steps_per_epoch
    assert (one.batches.passes, other.batches.passes) == (2, 1)
    assert fusing_key(one) != fusing_key(other)


def test_between_epochs_lanes_keep_none_of_the_memory_of_their_steps() -> None:
    torch.manual_seed(0)
    students = [STUDENTS.get("mlp")(widths=[width]).build((6,), 4) for width in (8, 12)]
    chains = [chain for student in students if (chain := chain_of(Normalised(None, student))) is not None]
    network = LaneNetwork(chains, torch.device("cpu"))
    inputs = torch.randn(2, 16, 6)
    network.forward(inputs)
    network.backward(torch.randn(2, 16, 4))
    held = weakref.ref(network._stacks[0]._hidden[0].outputs)
    assert held() is not None
    network.rest()
    assert held() is None
