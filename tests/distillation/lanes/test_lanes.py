"""Fused lanes: every student is what it would have been alone, whatever the other lanes hold."""

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import TABLE, run_space
from small_lanes import AUGMENTED, Sections, agree, alone, config_of, different, joined, trained
from torch import Tensor

from distill_tune.distillation.lanes.fused import Fused, fusing_key
from distill_tune.distillation.materials.materials import Materials, Prepared
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.run import Epoch, Run
from distill_tune.errors import TrainingError
from distill_tune.registry import LOSSES


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Prepared]:
    """Prepared data and teacher, by whether they are augmented."""
    cache = tmp_path_factory.mktemp("cache")
    spaces = {False: run_space(), True: run_space(**AUGMENTED)}
    return {kind: prepare(space, cache, lambda line: None).prepared for kind, space in spaces.items()}


@pytest.mark.parametrize(
    ("kind", "options"),
    [("adamw", {}), ("adamw", {"beta1": 0.5}), ("sgd", {}), ("sgd", {"nesterov": False}), ("sgd", {"momentum": 0.0})],
)
def test_students_of_all_shapes_train_in_lanes_as_they_do_alone(
    kind: str, options: dict[str, Any], prepared: dict[bool, Prepared]
) -> None:
    configs = different(kind, **options)
    singles = [alone(prepared[False], config, seed) for seed, config in enumerate(configs)]
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


@pytest.mark.parametrize("augmentation", [{}, {"mixup": 0.3}], ids=["as they are", "mixed"])
def test_rows_without_a_label_say_in_lanes_what_they_say_alone(augmentation: dict[str, float], tmp_path: Path) -> None:
    few: Sections = {"data": {"student_samples": 0.5, "rest": "unlabelled"}, "augmentation": augmentation}
    ready = prepare(run_space(**few), tmp_path, lambda line: None).prepared
    configs = [
        config_of({"widths": [width]}, loss={"kind": "soft_targets", "soft_weight": 0.5}, **few) for width in (8, 12)
    ]
    fused = trained(joined(ready, configs))
    for seed, config in enumerate(configs):
        agree(fused[str(seed)], next(alone(ready, config, seed)))


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
    trained(lanes, "0")  # the second lane has left, so the first trains alone
    epochs = trained(lanes, "0", "1")  # the first is in its third epoch, the second in its second
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
