"""What trials want the user to be told; without Ray."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray_searches import searched

from distill_tune.tuning.running.lane_adapters import Hands, LaneScheduler
from distill_tune.tuning.running.lane_host import LANES
from distill_tune.tuning.running.tune_adapters import ConductedScheduler, Kept
from distill_tune.tuning.workers.trial import REPORTS, SAYS


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_several_trials_say_again_and_again_is_told_once(tmp_path: Path, preparation: Any, lanes: int) -> None:
    conductor, _ = searched(tmp_path, preparation, lanes=lanes)
    conductor.ledger.say = (told := list[str]()).append
    hands = Hands(conductor, lanes, lambda place, hand: None)
    scheduler = ConductedScheduler(conductor, Kept()) if lanes == 1 else LaneScheduler(conductor, hands, Kept())
    trials: list[Any] = [
        SimpleNamespace(trial_id=f"{n}", config={"trial": f"{n}", "place": n}, run_metadata=SimpleNamespace())
        for n in range(2)
    ]
    for said in ("GPU 3 is occupied", "", "GPU 3 is occupied", "GPU 0 is occupied"):
        for trial in trials:
            result = {REPORTS: [], LANES: [], SAYS: said}
            assert scheduler.on_trial_result(None, trial, result) == "CONTINUE"
    assert told == ["GPU 3 is occupied", "GPU 0 is occupied"]


def test_nobody_is_told_that_a_trial_waits_for_a_place_if_it_says_what_it_waits_for(
    tmp_path: Path, preparation: Any
) -> None:
    conductor, _ = searched(tmp_path, preparation)
    conductor.ledger.say = print
    scheduler, trial = ConductedScheduler(conductor, Kept()), SimpleNamespace(trial_id="0", status="RUNNING")
    controller: Any = SimpleNamespace(get_live_trials=lambda: [trial])
    scheduler.on_trial_add(controller, trial)  # type: ignore[arg-type]
    for said, waits in (("", True), ("GPU 3 is occupied", False)):
        scheduler.on_trial_result(None, trial, {REPORTS: [], SAYS: said})  # type: ignore[arg-type]
        assert (scheduler.is_anybody_waiting, scheduler.is_anybody_at_work) == (waits, not waits)
