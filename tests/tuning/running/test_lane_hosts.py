"""Places with fused lanes on a real Ray: each trial is reported, stopped, replaced and retried alone."""

from pathlib import Path
from typing import Any

import pytest
from ray_searches import ActorKiller, Meddler, ended_by_failures, searched

from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.running.run import run_search
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.workers.trial import DIED

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120), pytest.mark.usefixtures("a_ray")]


def test_one_place_with_eight_lanes_accounts_for_thirty_two_trials(tmp_path: Path, preparation: Any) -> None:
    conductor, context = searched(tmp_path, preparation, places=1, lanes=8, trials=32, scheduler="asha")
    run_search(conductor, context)
    ledger = conductor.ledger
    assert ledger.count(Status.COMPLETED, Status.STOPPED) == ledger.count() == 32
    assert min(ledger.count(Status.COMPLETED), ledger.count(Status.STOPPED)) >= 1
    for record in ledger.records.values():
        assert [report["epoch"] for report in record.reports] == list(range(1, record.epochs + 1))
        assert (record.epochs == 9) == (record.status is Status.COMPLETED)
    at_a_time = [_at_work(ledger.records.values(), record.started_s) for record in ledger.records.values()]
    assert max(at_a_time) == 8, "each that was stopped made room for another"


def _at_work(records: Any, at_s: float) -> int:
    return sum(record.started_s <= at_s < record.ended_s for record in records)


def test_the_first_lanes_of_one_seed_are_the_same_to_the_bit(tmp_path: Path, preparation: Any) -> None:
    def outcome(name: str) -> list[Any]:
        conductor, context = searched(tmp_path / name, preparation, places=1, lanes=4, trials=8, min_epochs=3)
        run_search(conductor, context)
        return [(r.trial_id, r.values, r.last["val/loss"]) for r in conductor.ledger.records.values() if r.epochs == 3]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = outcome("a"), outcome("b")
    assert one[:4] == other[:4] != []


def test_a_killed_host_costs_no_trial(tmp_path: Path, preparation: Any) -> None:
    killer = ActorKiller("ray::LaneHost")
    conductor, context = searched(
        tmp_path, preparation, killer, places=1, lanes=3, trials=6, max_epochs=40, scheduler="none"
    )
    run_search(conductor, context)
    assert killer.done
    assert conductor.ledger.count(Status.COMPLETED) == conductor.ledger.count() == 6
    for record in conductor.ledger.records.values():
        assert [report["epoch"] for report in record.reports] == list(range(1, 41))


def test_a_place_that_waits_for_room_takes_over_the_process_of_one_that_is_done(
    tmp_path: Path, preparation: Any
) -> None:
    conductor, context = searched(  # there is room for three at a time
        tmp_path, preparation, places=4, lanes=2, trials=8, max_epochs=2, scheduler="none"
    )
    run_search(conductor, context)
    assert {r.trial_id: (r.status, r.epochs) for r in conductor.ledger.records.values()} == {
        f"{number:04d}": (Status.COMPLETED, 2) for number in range(8)
    }


@pytest.mark.parametrize(("kind", "retries"), [("Deadly", 0), ("Deadly", 1), ("Spoiling", 1)])
def test_a_trial_that_ends_its_process_again_and_again_takes_no_other_lane_along(
    tmp_path: Path, preparation: Any, kind: str, retries: int
) -> None:
    loss = {"kind": f"broken_loss:{kind}", "temperature": {"choice": [1.0, 2.0]}}
    conductor, context = searched(
        tmp_path, preparation, places=1, lanes=3, trials=3, loss=loss, scheduler="none", max_epochs=3, retries=retries
    )
    conductor.first_settings.extend({"loss.temperature": each} for each in (1.0, 2.0, 1.0))
    run_search(conductor, context)
    first, deadly, third = conductor.ledger.records.values()
    assert first.status is third.status is Status.COMPLETED
    assert deadly.status is Status.FAILED
    assert deadly.message == DIED


def test_a_loss_that_raises_fails_in_its_lane_and_five_alike_end_the_search(tmp_path: Path, preparation: Any) -> None:
    conductor, context = searched(
        tmp_path, preparation, places=1, lanes=4, trials=30, loss={"kind": "broken_loss:Broken"}
    )
    run_search(conductor, context)
    ended_by_failures(conductor, tmp_path, most=8)


def test_a_budget_that_ends_leaves_no_lane_running(tmp_path: Path, preparation: Any) -> None:
    class End(Meddler):
        def meddle(self, record: TrialRecord) -> None:
            assert self.conductor is not None
            self.conductor.budget.end(Reason.TIME)

    conductor, context = searched(tmp_path, preparation, End(), places=1, lanes=4, trials=500)
    run_search(conductor, context)
    assert conductor.ledger.count(Status.RUNNING) == 0
    assert conductor.ledger.count() == 4


def test_a_trial_for_which_a_gpu_has_no_memory_beside_others_is_tried_alone(tmp_path: Path, preparation: Any) -> None:
    conductor, context = searched(
        tmp_path, preparation, places=1, lanes=3, trials=3, loss={"kind": "broken_loss:ShortOnce"}, scheduler="none"
    )
    conductor.ledger.say = (told := list[str]()).append
    run_search(conductor, context)
    assert [(record.status, record.epochs) for record in conductor.ledger.records.values()] == [
        (Status.COMPLETED, 9)
    ] * 3
    assert told == ["a GPU has too little memory for 3 trials at once, so they are tried one by one"]


def test_a_trial_that_is_tried_alone_has_the_memory_of_those_that_wait(tmp_path: Path, preparation: Any) -> None:
    loss = {"kind": "broken_loss:ShortBesideOthers"}
    conductor, context = searched(  # so many epochs that the first is still there when the second is due
        tmp_path, preparation, places=1, lanes=3, trials=3, loss=loss, scheduler="none", max_epochs=600
    )
    run_search(conductor, context)
    assert [(record.status, record.epochs) for record in conductor.ledger.records.values()] == [
        (Status.COMPLETED, 600)
    ] * 3
