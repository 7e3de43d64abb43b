"""How many lanes a place gets."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small import TABLES

from distill_tune.config.space import Space
from distill_tune.errors import ConfigError
from distill_tune.tuning.planning.fitting import Fitted, known_to_fit
from distill_tune.tuning.planning.laning import _STEPS, with_lanes


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


def test_what_is_measured_leaves_four_trials_a_lane_and_the_space_as_it_was(preparation: Any) -> None:
    before = fitted(preparation, search={"trials": 64, "max_epochs": 2})
    after = with_lanes(before, preparation.prepared, 2, lambda line: None).space
    assert after.config.resources.lanes in (1, 4, 8)
    assert replace(after, tables=before.space.tables) == before.space
    assert after.config.search == before.space.config.search


def test_what_is_measured_on_part_of_the_samples_may_be_mixed_with_others(ready: Any, preparation: Any) -> None:
    mixed = fitted(preparation, augmentation={"mixup": 0.4}, optim={"batch_size": 4}, search={"trials": 16})
    _, own = ready(mixed.space)
    assert len(own.dataset.split("train")) > _STEPS * 4
    assert with_lanes(mixed, own.prepared, 1, lambda line: None).space.config.resources.lanes in (1, 4)


def test_a_search_shorter_than_what_is_measured_has_its_own_number_of_views(ready: Any, preparation: Any) -> None:
    short = fitted(preparation, augmentation={"mixup": 0.3}, search={"trials": 16, "max_epochs": 2})
    _, own = ready(short.space)
    found = with_lanes(short, own.prepared, 1, lambda line: None).space.config
    assert found.resources.lanes in (1, 4)
    assert found.teacher.views is None


def test_what_is_measured_beside_a_live_teacher_leaves_no_hooks_on_it(ready: Any, preparation: Any) -> None:
    live = fitted(preparation, teacher={"mode": "live"}, loss={"kind": "hint"}, search={"trials": 16})
    _, own = ready(live.space)
    assert with_lanes(live, own.prepared, 1, lambda line: None).space.config.resources.lanes == 1
    assert not any(layer._forward_hooks for layer in own.prepared.live_teacher.modules())


def test_values_that_break_a_rule_together_are_drawn_again(preparation: Any) -> None:
    neither = {"target_weight": {"choice": [1.0, 0.0]}, "non_target_weight": {"choice": [1.0, 0.0]}}
    losing = {"kind": "dkd", "temperature": 2.0, "dkd": neither}
    assert lanes_of(preparation, loss=losing, search={"trials": 32, "max_epochs": 2}) in (1, 4, 8)


def test_students_that_diverge_are_measured_like_others(preparation: Any) -> None:
    wild = {"kind": "sgd", "learning_rate": 1e30, "batch_size": 64}
    assert lanes_of(preparation, optim=wild, search={"trials": 16}) in (1, 4)


def test_lanes_that_bfloat16_makes_idle_are_told(preparation: Any) -> None:
    for precision, number_said in (("bfloat16", 1), ("float32", 0)):
        said = list[str]()
        asked = fitted(preparation, resources={"lanes": 4}, optim={"precision": precision})
        assert with_lanes(asked, preparation.prepared, 1, said.append) is asked
        assert len(said) == number_said
        assert all("students in bfloat16 cannot be fused" in line for line in said)


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
