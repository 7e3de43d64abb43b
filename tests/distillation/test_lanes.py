"""Fused lanes: every student is what it would have been alone, whatever lies in the lanes beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import IMAGES, TABLE, run_space
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.data import prepare_data
from distill_tune.distillation.lanes import Lanes
from distill_tune.distillation.lanes.chain import chain_of
from distill_tune.distillation.lanes.fused import Fused, fusing_key
from distill_tune.distillation.materials.materials import Materials, Prepared
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import Epoch, Run, distill
from distill_tune.errors import TrainingError
from distill_tune.registry import LOSSES, OPTIMIZERS
from distill_tune.students._blocks import Normalised

Sections = dict[str, dict[str, Any]]
CLOSE = 1e-4
"""After an epoch; what rounding makes of the same sums in another order."""

ARCHITECTURES: list[dict[str, Any]] = [
    {"widths": [12]},
    {"widths": [20, 9], "activation": "gelu"},
    {"widths": [7, 30]},
    {"widths": [12], "activation": "silu"},
    {"widths": [16, 16, 4]},
    {"widths": [16, 5, 11], "activation": "silu"},
]
AUGMENTED: Sections = {"augmentation": {"mixup": 0.3, "noise": 0.1, "swap": 0.1}, "data": {"passes": 2}}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Prepared]:
    """Data and teacher, plain and augmented."""
    cache = tmp_path_factory.mktemp("cache")
    spaces = {False: run_space(), True: run_space(**AUGMENTED)}
    return {kind: prepare(space, cache, lambda line: None).prepared for kind, space in spaces.items()}


def config_of(student: dict[str, Any], augmented: bool = False, epochs: int = 3, **sections: Any) -> Config:
    own = AUGMENTED if augmented else {}
    data = {**own, **sections, "student": {"mlp": student}, "search": {"max_epochs": epochs}}
    return run_space(TABLE, **data).config


def different(kind: str = "adamw", **options: Any) -> list[Config]:
    """Students that differ in everything that lanes may differ in."""
    rates = {"adamw": 1e-2, "sgd": 1e-1}
    return [
        config_of(
            student,
            loss={"kind": "soft_targets", "temperature": 1.0 + number, "soft_weight": 0.2 + 0.1 * number},
            optim={
                "kind": kind,
                kind: options,
                "learning_rate": rates[kind] / (1 + number),
                "weight_decay": 0.02 * number,
                "schedule": ["cosine", "one_cycle", "constant"][number % 3],
                "gradient_clip": [None, 0.5][number % 2],
            },
        )
        for number, student in enumerate(ARCHITECTURES)
    ]


def alone(prepared: Prepared, config: Config, seed: int) -> Iterator[Epoch]:
    return distill(config, Materials.open(prepared, config), seed)


def joined(prepared: Prepared, configs: list[Config]) -> Lanes:
    lanes = Lanes()
    for seed, config in enumerate(configs):
        lanes.join(str(seed), config, Materials.open(prepared, config), seed)
    return lanes


def trained(lanes: Lanes, *names: str) -> dict[str, Epoch]:
    outcomes = lanes.next_epochs(names or None)
    for outcome in outcomes.values():
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes  # type: ignore[return-value]


def agree(one: Epoch, other: Epoch, within: float = CLOSE) -> None:
    """Reports, times apart, and weights."""
    assert one.report.keys() == other.report.keys()
    for name, value in one.report.items():
        if "time/" not in name and name != "samples_per_s":
            assert value == pytest.approx(other.report[name], abs=within), name
    ours, theirs = one.student.state_dict(), other.student.state_dict()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], atol=within, rtol=0)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("adamw", {}), ("adamw", {"beta1": 0.5}), ("sgd", {}), ("sgd", {"nesterov": False}), ("sgd", {"momentum": 0.0})],
)
def test_students_of_all_shapes_train_in_lanes_as_they_do_alone(
    kind: str, options: dict[str, Any], prepared: dict[bool, Prepared]
) -> None:
    configs = different(kind, **options)
    singles, lanes = [alone(prepared[False], config, seed) for seed, config in enumerate(configs)], None
    lanes = joined(prepared[False], configs)
    assert lanes.can_fuse
    for _ in range(configs[0].search.max_epochs):
        for single, fused in zip(singles, trained(lanes).values(), strict=True):
            agree(fused, next(single))


@pytest.mark.parametrize("name", [name for name in LOSSES.names if LOSSES.get(name).over_lanes])
@pytest.mark.parametrize("augmented", [False, True], ids=["as they are", "mixed"])
def test_each_loss_trains_in_lanes_as_it_does_alone(name: str, augmented: bool, prepared: dict[bool, Prepared]) -> None:
    loss: dict[str, Any] = {"kind": name}
    if LOSSES.get(name).uses_teacher:
        loss |= {"soft_weight": 0.6, "soft_weight_end": 0.1}
    if LOSSES.get(name).uses_temperature and LOSSES.get(name).uses_teacher:
        loss |= {"temperature": 3.0, "temperature_end": 1.0}
    smoothed = {**TABLE["optim"], "label_smoothing": 0.1}
    configs = [
        config_of({"widths": [12]}, augmented, loss=loss),
        config_of({"widths": [9, 5]}, augmented, loss={"kind": "labels"}, optim=smoothed),
        config_of({"widths": [10]}, augmented, loss=loss),
    ]
    fused = trained(joined(prepared[augmented], configs))
    for seed, config in enumerate(configs):
        agree(fused[str(seed)], next(alone(prepared[augmented], config, seed)))


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


def test_a_lane_is_replaced_while_the_others_train_on(prepared: dict[bool, Prepared]) -> None:
    configs = different()
    lanes = joined(prepared[False], configs[:3])
    trained(lanes)
    lanes.leave("1")
    lanes.join("late", configs[4], Materials.open(prepared[False], configs[4]), 4)
    epochs = trained(lanes)
    late, stayed = alone(prepared[False], configs[4], 4), alone(prepared[False], configs[0], 0)
    next(stayed)
    agree(epochs["0"], next(stayed))
    agree(epochs["late"], next(late))
    assert "1" not in epochs


def test_a_training_that_leaves_takes_its_hooks_off_the_teacher_of_all(table_space: Any, ready: Any) -> None:
    config, preparation = ready(table_space(teacher={"mode": "live"}, loss={"kind": "hint"}))
    layers = list(preparation.prepared.live_teacher.modules())
    lanes = joined(preparation.prepared, [config, config])
    assert any(layer._forward_hooks for layer in layers)
    for name in ("0", "1", "who never came"):
        lanes.leave(name)
    assert not any(layer._forward_hooks for layer in layers)
    assert (len(lanes), lanes.can_fuse) == (0, False)


def test_a_training_goes_on_alone_where_its_lanes_have_left_it_and_the_other_way_round(
    prepared: dict[bool, Prepared],
) -> None:
    configs = different()
    lanes = joined(prepared[False], configs[:2])
    trained(lanes)
    trained(lanes, "0")  # without the other: alone
    epochs = trained(lanes, "0", "1")  # the one is in its third epoch, the other in its second
    first, second = (alone(prepared[False], config, seed) for seed, config in enumerate(configs[:2]))
    *_, last = first
    next(second)
    agree(epochs["0"], last)
    agree(epochs["1"], next(second))


def test_a_checkpoint_of_a_lane_is_one_of_the_training_alone(prepared: dict[bool, Prepared]) -> None:
    configs = different()[:2]
    checkpoint = trained(joined(prepared[False], configs))["1"].checkpoint()
    materials = Materials.open(prepared[False], configs[1])
    whole = alone(prepared[False], configs[1], 1)
    next(whole)
    resumed = next(distill(configs[1], materials, 1, resume=checkpoint))
    agree(resumed, next(whole))
    lanes = joined(prepared[False], configs[:1])
    lanes.join("resumed", configs[1], materials, 1, resume=checkpoint)
    agree(trained(lanes)["resumed"], resumed)


def test_a_lane_that_diverges_ends_by_itself(prepared: dict[bool, Prepared]) -> None:
    wild = config_of({"widths": [12]}, optim={**TABLE["optim"], "kind": "sgd", "learning_rate": 1e30})
    tame = config_of({"widths": [12]}, optim={**TABLE["optim"], "kind": "sgd", "learning_rate": 1e-2})
    lanes = joined(prepared[False], [wild, tame])
    outcomes = lanes.next_epochs()
    assert isinstance(outcomes["0"], TrainingError)
    assert isinstance(outcomes["1"], Epoch)
    agree(outcomes["1"], next(alone(prepared[False], tame, 1)))


def test_what_cannot_be_fused_trains_beside_the_lanes_to_the_bit(prepared: dict[bool, Prepared]) -> None:
    dropping = config_of({"widths": [12], "dropout": 0.2})
    lanes = joined(prepared[False], [*different()[:2], dropping])
    epoch, same = trained(lanes)["2"], next(alone(prepared[False], dropping, 2))
    assert all(
        torch.equal(epoch.student.state_dict()[name], same.student.state_dict()[name])
        for name in same.student.state_dict()
    )


@pytest.mark.parametrize(
    "sections",
    [
        {"student": {"mlp": {"dropout": 0.5}}},
        {"student": {"family": "resnet"}},
        {"loss": {"kind": "rkd"}},
        {"optim": {"precision": "bfloat16"}},
        {"optim": {"accumulate": 2}},
    ],
    ids=["dropout", "another family", "a loss without lanes", "bfloat16", "steps of several batches"],
)
def test_what_lanes_cannot_do_is_not_fused(sections: Sections, prepared: dict[bool, Prepared]) -> None:
    config = run_space(TABLE, **sections).config
    assert fusing_key(Run(config, Materials.open(prepared[False], config), 0, torch.device("cpu"))) is None


def test_only_runs_with_steps_of_one_kind_are_fused(prepared: dict[bool, Prepared]) -> None:
    def key(**optim: Any) -> str | None:
        config = config_of({"widths": [12]}, optim={**TABLE["optim"], **optim})
        return fusing_key(Run(config, Materials.open(prepared[False], config), 0, torch.device("cpu")))

    assert key() == key(learning_rate=0.5, weight_decay=0.1, schedule="step") is not None
    assert len({key(), key(batch_size=32), key(kind="sgd"), key(adamw={"beta1": 0.5})}) == 4


def test_students_that_normalise_their_inputs_otherwise_share_no_lanes(tmp_path: Path) -> None:
    def key(mean: float) -> str | None:
        run = Run(config, materials, 0, torch.device("cpu"))
        run.student.get_buffer("normalise.mean").fill_(mean)
        return fusing_key(run)

    config = run_space({**IMAGES, "student": {"family": "mlp"}}, loss={"kind": "labels"}).config
    materials = Materials.open(Prepared(prepare_data(config.data, tmp_path).folder, None), config)
    assert key(1.0) == key(1.0) is not None
    assert key(1.0) != key(2.0)


def test_every_optimizer_says_whether_it_steps_lanes() -> None:
    assert {name for name in OPTIMIZERS.names if OPTIMIZERS.get(name).over_lanes} >= {"adamw", "sgd"}


class Odd(nn.Linear):
    """Whatever a user may derive."""


class Skipping(nn.Sequential):
    """A sequence in name."""

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


def test_padding_stays_exactly_zero(prepared: dict[bool, Prepared]) -> None:
    runs = [Run(c, Materials.open(prepared[False], c), 0, torch.device("cpu")) for c in different()]
    fused = Fused(runs)
    list(fused.next_epochs())
    used = torch.zeros_like(fused._network.rows)
    for _, _, view in fused._network.views(used):
        view.fill_(1)
    padded: Tensor = fused._network.rows[used == 0]
    assert len(padded) > 0
    assert torch.equal(padded, torch.zeros_like(padded))


def test_a_student_that_sees_the_labelled_rows_alone_is_not_fused_with_one_that_sees_all(tmp_path: Path) -> None:
    few: Sections = {"data": {"student_samples": 0.5, "rest": "unlabelled"}, "optim": {"batch_size": 8}}
    prepared = prepare(run_space(**few), tmp_path, lambda line: None).prepared
    configs = [run_space(**few, loss={"kind": kind}).config for kind in ("labels", "soft_targets")]
    one, other = (Run(c, Materials.open(prepared, c), 0, torch.device("cpu")) for c in configs)
    assert one.batches.steps_per_epoch == other.batches.steps_per_epoch
    assert (one.batches.passes, other.batches.passes) == (2, 1)
    assert fusing_key(one) != fusing_key(other)
