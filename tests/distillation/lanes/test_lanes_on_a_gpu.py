"""Fused lanes on a pretended GPU (`pretended_gpu.py`): all on one device, and no step waits for it."""

from typing import Any

import pytest
from pretended_gpu import pretended_gpu
from runs import TABLE, run_space
from small_lanes import AUGMENTED, config_of, different, trained
from small_trainings import Report, saved_and_read, untimed

from distill_tune.config import Config
from distill_tune.distillation.lanes import Lanes
from distill_tune.distillation.materials.materials import Materials, Prepared
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.registry import LOSSES


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Prepared]:
    """Prepared data and teacher, by whether they are augmented."""
    cache = tmp_path_factory.mktemp("cache")
    spaces = {False: run_space(), True: run_space(**AUGMENTED)}
    return {kind: prepare(space, cache, lambda line: None).prepared for kind, space in spaces.items()}


def in_float32(config: Config) -> Config:
    """Fix the precision as a search does; a GPU would choose bfloat16, in which nothing is fused."""
    return config.model_copy(update={"optim": config.optim.model_copy(update={"precision": "float32"})})


def joined(prepared: Prepared, configs: list[Config], device: str) -> Lanes:
    lanes = Lanes(device)
    for seed, config in enumerate(map(in_float32, configs)):
        lanes.join(str(seed), config, Materials.open(prepared, config, device), seed)
    assert lanes.can_fuse
    return lanes


def reports(lanes: Lanes, epochs: int = 2) -> list[Report]:
    return [untimed(epoch.report) for _ in range(epochs) for epoch in trained(lanes).values()]


def check_same(prepared: Prepared, configs: list[Config]) -> None:
    here = reports(joined(prepared, configs, "cpu"))
    with pretended_gpu():
        assert reports(joined(prepared, configs, "cuda")) == here


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_students_of_all_shapes_train_in_lanes_on_a_gpu(kind: str, prepared: dict[bool, Prepared]) -> None:
    check_same(prepared[False], different(kind))


@pytest.mark.parametrize("name", [name for name in LOSSES.names if LOSSES.get(name).over_lanes])
def test_each_loss_trains_in_lanes_on_a_gpu(name: str, prepared: dict[bool, Prepared]) -> None:
    smoothed = {**TABLE["optim"], "label_smoothing": 0.1}
    widths: list[dict[str, Any]] = [{"widths": [12]}, {"widths": [9, 5]}]
    beside = config_of({"widths": [7]}, True, loss={"kind": "labels"}, optim=smoothed)
    check_same(prepared[True], [*(config_of(each, True, loss={"kind": name}) for each in widths), beside])


def test_no_step_of_lanes_waits_for_the_gpu(prepared: dict[bool, Prepared]) -> None:
    def waits(batch_size: int) -> dict[str, int]:
        optim = {**TABLE["optim"], "batch_size": batch_size}
        configs = [config_of({"widths": [width]}, optim=optim) for width in (8, 12)]
        with pretended_gpu() as found:
            lanes = joined(prepared[False], configs, "cuda")
            reports(lanes, 1)
            found.clear()
            reports(lanes, 1)
        return dict(found)

    assert waits(128) == waits(32)


def test_a_lane_goes_on_alone_on_a_cpu(prepared: dict[bool, Prepared]) -> None:
    configs = different()
    here = joined(prepared[False], configs, "cpu")
    reports(here, 1)
    expected = reports(here, 1)[0]
    with pretended_gpu():
        lanes = joined(prepared[False], configs, "cuda")
        checkpoint = saved_and_read(trained(lanes)["0"].checkpoint())
    alone = Lanes()
    config = in_float32(configs[0])
    alone.join("0", config, Materials.open(prepared[False], config), 0, checkpoint)
    (epoch,) = trained(alone).values()
    assert untimed(epoch.report) == pytest.approx(expected, abs=1e-4)
