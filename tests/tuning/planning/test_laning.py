"""How many lanes a place gets."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small import TABLES

from distill_tune.config.space import Space
from distill_tune.distillation.lanes.fused import Fused
from distill_tune.distillation.materials.materials import Materials
from distill_tune.errors import ConfigError
from distill_tune.tuning.job import Job
from distill_tune.tuning.order import Order
from distill_tune.tuning.planning.fitting import Fitted, known_to_fit
from distill_tune.tuning.planning.laning import _STEPS, _counts, _less, _speed, _students, _worth_having, with_lanes
from distill_tune.tuning.search_context import Ready
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import Entry


def fitted(preparation: Any, **sections: dict[str, Any]) -> Fitted:
    tables = json.loads(json.dumps(TABLES))
    for name, keys in {"resources": {"lanes": "auto"}, **sections}.items():
        tables[name] = tables.get(name, {}) | keys
    return known_to_fit(Space.parse(tables), preparation.dataset)


def lanes_of(preparation: Any, places: int = 1, **sections: dict[str, Any]) -> Any:
    found = with_lanes(fitted(preparation, **sections), preparation.prepared, places, lambda line: None)
    return found.space.config.resources.lanes


def test_a_number_stays_what_it_is(preparation: Any) -> None:
    assert lanes_of(preparation, resources={"lanes": 3}) == 3


def test_students_that_cannot_be_fused_get_one_lane(preparation: Any) -> None:
    dropping = {"mlp": {"widths": {"choice": [[8], [12]]}, "dropout": 0.5}}
    assert lanes_of(preparation, student=dropping, search={"trials": 500}) == 1


def test_few_trials_get_one_lane(preparation: Any) -> None:
    assert lanes_of(preparation, search={"trials": 31}, places=2) == 1


@pytest.mark.parametrize(
    ("trials", "places", "counts"),
    [(31, 2, []), (32, 2, [4]), (64, 2, [4, 8]), (127, 1, [4, 8, 16]), (500, 1, [4, 8, 16, 32])],
)
def test_there_are_four_trials_a_lane_at_least(trials: int, places: int, counts: list[int]) -> None:
    assert _counts(trials, places) == counts


@pytest.mark.parametrize(("before", "now", "is_warned"), [(2, 2, False), (2, 16, True), (3, 4, False), (4, 1, False)])
def test_a_search_that_goes_on_with_too_many_places_for_its_lanes_says_what_to_lower(
    preparation: Any, tmp_path: Path, before: int, now: int, is_warned: bool
) -> None:
    """If they were too many before, somebody has chosen so."""
    ours, said = fitted(preparation, resources={"lanes": 8}, search={"trials": 64}), list[str]()
    first = Claim.of_new(tmp_path / "ours", ours.space, "")
    first.logbook.write(Entry.SEARCHING, places=before)
    first.logbook.release()
    order = Order(ours.space, "ours", first.folder, "", is_new=False)
    job = Job(order, SimpleNamespace(tell=lambda *lines: said.extend(lines)))  # type: ignore[arg-type]
    claim, _ = job._claimed(Ready(ours, preparation, Claim.of_old(first.folder, "")), now)
    claim.logbook.release()
    assert said == is_warned * [
        "warning: with resources.lanes = 8 and 16 places, 64 of 64 trials train at a time, so the sampler learns "
        "little from them; you may lower resources.lanes, or set resources.concurrent_trials (the number of places), "
        "in search.toml"
    ]


@pytest.mark.parametrize(
    ("speeds", "lanes"),
    [
        ({}, 1),
        ({4: 1.29, 8: 0.0}, 1),
        ({4: 1.31}, 4),
        ({4: 1.2, 8: 1.31}, 8),
        ({4: 2.0, 8: 2.1}, 4),
        ({4: 2.0, 8: 2.1, 16: 2.3}, 16),
        ({4: 2.0, 8: 1.0}, 4),
    ],
)
def test_lanes_are_had_where_they_pay_and_more_where_these_do(speeds: dict[int, float], lanes: int) -> None:
    assert _worth_having(speeds.items()) == (lanes, speeds.get(lanes, pytest.approx(1.3 / 1.1)))


def test_a_number_of_lanes_for_which_a_gpu_has_no_memory_is_not_taken_for_a_fast_one(
    preparation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Fused._train

    def short(self: Fused) -> Any:
        if len(self.runs) > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return train(self)

    monkeypatch.setattr(Fused, "_train", short)
    found = dict[int, int]()
    for most in (1, 8):
        found[most] = lanes_of(preparation, search={"trials": 500, "max_epochs": 2})
    assert found[1] == 1
    assert found[8] <= 8


def test_measuring_settles_the_lanes_and_leaves_the_rest_of_the_space_as_it_was(preparation: Any) -> None:
    before = fitted(preparation, search={"trials": 32, "max_epochs": 2})
    after = with_lanes(before, preparation.prepared, 2, lambda line: None).space
    assert isinstance(after.config.resources.lanes, int)
    assert replace(after, tables=before.space.tables) == before.space
    assert after.config.search == before.space.config.search


def test_what_is_measured_on_part_of_the_samples_may_be_mixed_with_others(ready: Any, preparation: Any) -> None:
    mixed = fitted(preparation, augmentation={"mixup": 0.4}, optim={"batch_size": 4})
    _, own = ready(mixed.space)
    assert len(own.dataset.split("train")) > _STEPS * 4
    assert _speed(_students(mixed, 4), own.prepared, "cpu") > 0


def test_others_of_the_process_keep_the_whole_validation_of_the_teacher(preparation: Any) -> None:
    config = fitted(preparation).space.config
    theirs = Materials.open(preparation.prepared, config)
    less = _less(Materials.open(preparation.prepared, config), config, samples=len(theirs.labels) // 2)
    count = len(less.validation_labels)
    assert len(less.teacher.validation) == count < len(theirs.validation_labels)
    assert len(theirs.teacher.validation) == len(theirs.validation_labels)


def test_students_beside_a_live_teacher_get_one_lane_and_nothing_is_measured(
    ready: Any, preparation: Any, tmp_path: Path
) -> None:
    live = fitted(preparation, teacher={"mode": "live"}, search={"trials": 500})
    own = replace(ready(live.space)[1].prepared, data_folder=tmp_path / "not there")
    assert with_lanes(live, own, 1, lambda line: None).space.config.resources.lanes == 1


def test_a_search_shorter_than_what_is_measured_has_its_own_number_of_views(ready: Any, preparation: Any) -> None:
    short = fitted(preparation, augmentation={"mixup": 0.3}, search={"trials": 16, "max_epochs": 2})
    _, own = ready(short.space)
    found = with_lanes(short, own.prepared, 1, lambda line: None).space.config
    assert found.resources.lanes in (1, 4)
    assert found.teacher.views is None


def test_values_that_break_a_rule_together_are_drawn_again(preparation: Any) -> None:
    neither = {"target_weight": {"choice": [1.0, 0.0]}, "non_target_weight": {"choice": [1.0, 0.0]}}
    losing = fitted(preparation, loss={"kind": "dkd", "temperature": 2.0, "dkd": neither})
    assert len(_students(losing, 8)) == 8


def test_students_that_diverge_are_measured_like_others(preparation: Any) -> None:
    wild = fitted(preparation, optim={"kind": "sgd", "learning_rate": 1e30, "batch_size": 64})
    assert _speed(_students(wild, 4), preparation.prepared, "cpu") > 0


def test_lanes_that_bfloat16_makes_idle_are_told(preparation: Any) -> None:
    for precision, number_said in (("bfloat16", 1), ("float32", 0)):
        said = list[str]()
        asked = fitted(preparation, resources={"lanes": 4}, optim={"precision": precision})
        assert with_lanes(asked, preparation.prepared, 1, said.append) is asked
        assert len(said) == number_said
        assert all("students in bfloat16 cannot be fused" in line for line in said)


@pytest.mark.skipif(torch.cuda.is_available(), reason="precision is measured where there is a GPU")
def test_lanes_that_other_machines_gpus_make_idle_are_told_of(preparation: Any) -> None:
    """They choose bfloat16 themselves, as the driver could measure nothing."""
    said = list[str]()
    for gpus in (1, 0):
        with_lanes(
            fitted(preparation, resources={"lanes": 4, "gpus_per_worker": gpus}), preparation.prepared, 1, said.append
        )
    (line,) = said
    assert line.startswith("resources.lanes = 4: students in bfloat16 cannot be fused and train in turns;")


def test_lanes_in_which_nothing_can_be_fused_are_told_of(ready: Any, preparation: Any) -> None:
    said = list[str]()
    lanes = {"resources": {"lanes": 4}}
    with_lanes(fitted(preparation, **lanes), preparation.prepared, 1, said.append)
    assert said == []
    dropping = {"mlp": {"widths": {"choice": [[8], [12]]}, "dropout": 0.5}}
    with_lanes(fitted(preparation, student=dropping, **lanes), preparation.prepared, 1, said.append)
    live = fitted(preparation, teacher={"mode": "live"}, **lanes)
    with_lanes(live, replace(preparation.prepared, live_teacher=preparation.teacher.module), 1, said.append)
    of_space, beside = said
    assert of_space.startswith(
        "resources.lanes = 4: none of 16 students drawn from the space can be fused, so all train"
    )
    assert beside.startswith("resources.lanes = 4: students beside a live teacher cannot be fused and train in turns;")


def test_what_cannot_be_fused_is_known_before_any_data_are_opened(preparation: Any, tmp_path: Path) -> None:
    only_shapes = replace(preparation.prepared, teacher_folder=tmp_path / "not there")
    losing = fitted(preparation, loss={"kind": "rkd"}, search={"trials": 500})
    assert with_lanes(losing, only_shapes, 1, lambda line: None).space.config.resources.lanes == 1


@pytest.mark.parametrize("lanes", [0, 65, "many"])
def test_what_is_no_number_of_lanes_is_refused(lanes: Any, preparation: Any) -> None:
    with pytest.raises(ConfigError, match=r"resources\.lanes"):
        fitted(preparation, resources={"lanes": lanes})


def test_lanes_of_several_workers_are_refused(preparation: Any) -> None:
    with pytest.raises(ConfigError, match=r"resources\.lanes.*2 workers"):
        fitted(preparation, resources={"lanes": 4, "workers_per_trial": 2})
