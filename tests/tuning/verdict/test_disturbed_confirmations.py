"""Confirmations that are interrupted, killed, or kept from writing, on a real Ray: nothing is lost or counted twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
from confirming import Breaking, Killer, asked_to_end, deadly, of_400_epochs
from odd_groups import SpaciousWorker, Stillborn
from ray_searches import two_places_held

from distill_tune.config.space import Space
from distill_tune.errors import DistillTuneError
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.logbook import Logbook
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.confirmation_pool import ConfirmationPool
from distill_tune.tuning.verdict.confirmation_runs import WEIGHTS
from distill_tune.tuning.verdict.confirmation_worker import WorkerContext
from distill_tune.tuning.verdict.training import Training
from distill_tune.tuning.verdict.work_queue import WorkQueue

PoolOf = Callable[..., ConfirmationPool]
pytestmark = [pytest.mark.ray, pytest.mark.timeout(120), pytest.mark.usefixtures("a_ray")]


@pytest.fixture
def pool_of(small_space: Space, preparation: Any, tmp_path: Path) -> PoolOf:
    """A pool of `count` confirmation workers, in the folder of one search."""

    def made(
        count: int,
        ledger: Ledger,
        budget: Budget,
        workers_per_trial: int = 1,
        known: dict[str, TrialRecord] | None = None,
        **options: Any,
    ) -> ConfirmationPool:
        resources = small_space.config.resources.model_copy(update={"workers_per_trial": workers_per_trial})
        context = WorkerContext(resources, tmp_path, **options)
        return ConfirmationPool(count, context, preparation.prepared, ledger, budget, known)

    return made


def test_an_interrupted_confirmation_begins_nothing_more(winner: Candidate, pool_of: PoolOf) -> None:
    budget = Budget(4)
    budget.interrupt.requested = True
    fresh = winner.again(winner.seeds)
    with pool_of(1, Ledger(), budget) as pool:
        pool.train([fresh])
    assert fresh.weights == {}


@pytest.mark.parametrize(("lanes", "retries", "tries"), [(1, 0, 0), (1, 2, 2), (2, 0, 1), (2, 2, 2)])
def test_in_lanes_a_training_is_begun_again_once_at_least(
    winner: Candidate, pool_of: PoolOf, lanes: int, retries: int, tries: int
) -> None:
    """One lane's death is the death of all."""
    pool, asked = pool_of(1, Ledger(), Budget(2), lanes=lanes, retries=retries), list[Training]()
    pool._train = asked.extend  # type: ignore[method-assign]
    pool.train([winner.again(winner.seeds)])
    assert [training.retries_left for training in asked] == [tries] * len(winner.seeds)


def test_once_it_is_interrupted_no_worker_is_asked_whether_it_is_up(pool_of: PoolOf) -> None:
    """Ray would report the call as failed once the worker is released."""

    class NeverAsked:
        @property
        def ready(self) -> Any:
            raise AssertionError("it was asked")

    budget = Budget(4)
    budget.interrupt.requested = True
    assert not pool_of(1, Ledger(), budget)._is_up(NeverAsked(), WorkQueue([]))


def test_a_killed_worker_trains_its_student_again(winner: Candidate, pool_of: PoolOf) -> None:
    long = of_400_epochs(winner, "trial-0007")
    killer = Killer()
    ledger = Ledger(watchers=[killer])
    with pool_of(1, ledger, Budget(1)) as pool:
        pool.train([long])
    assert killer.killed
    record = next(iter(ledger.records.values()))
    assert (record.status, record.epochs) == (Status.COMPLETED, 400)
    assert [report["epoch"] for report in record.reports] == list(range(1, 401))
    assert len(long.weights) == 1


def test_a_training_that_ends_its_process_each_time_fails_where_others_come_to_their_end(
    winner: Candidate, pool_of: PoolOf
) -> None:
    poison, ledger = deadly(winner), Ledger()
    fresh = winner.again(winner.seeds[:1])
    with pool_of(1, ledger, Budget(2), retries=1) as pool:
        pool.train([poison, fresh])
    assert {r.group: r.status for r in ledger.records.values()} == {
        f"confirm-deadly-of-0007-seeds-{fresh.seeds[0]}": Status.FAILED,
        f"confirm-trial-0007-seeds-{fresh.seeds[0]}": Status.COMPLETED,
    }


def test_a_process_that_is_asked_to_end_fails_no_training(winner: Candidate, pool_of: PoolOf) -> None:
    asked, ledger = asked_to_end(winner), Ledger()
    with pool_of(1, ledger, Budget(1)) as pool:
        pool.train([asked])
    assert [(r.status, r.message) for r in ledger.records.values()] == [(Status.COMPLETED, "")]


def test_why_no_worker_comes_up_is_said(winner: Candidate, pool_of: PoolOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill_tune.tuning.verdict.confirmation_pool.ConfirmationWorker", Stillborn)
    ledger = Ledger()
    with (
        pytest.raises(DistillTuneError, match=r"kept running \(RuntimeError: a driver that is too old\); --resume"),
        pool_of(2, ledger, Budget(2)) as pool,
    ):
        pool.train([winner])
    assert not ledger.records


def test_a_training_is_not_kept_from_its_workers_places_by_a_group_that_has_nothing_to_train(
    winner: Candidate, pool_of: PoolOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after losing a node: the cluster has room for the group of one of two workers."""
    monkeypatch.setattr("distill_tune.tuning.verdict.confirmation_pool.ConfirmationWorker", SpaciousWorker)
    seeds = {"first": [1, 2, 3], "second": [4, 5, 6]}
    first, second = (Candidate(name, winner.config, own, winner.source) for name, own in seeds.items())
    ledger = Ledger()
    with pool_of(2, ledger, Budget(6), workers_per_trial=2) as pool:
        pool.train([first])
        assert (tmp_path / "both have begun").exists()
        pool.train([second])  # also by the worker whose group gave up its places
    assert ledger.count(Status.COMPLETED) == ledger.count() == 6


def test_a_confirmation_says_what_its_groups_wait_for(
    winner: Candidate, pool_of: PoolOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill_tune.tuning.verdict.confirmation_pool.ConfirmationWorker", SpaciousWorker)
    monkeypatch.setattr("distill_tune.tuning.verdict.confirmation_pool._PATIENCE_S", 5.0)
    budget, heard_of = Budget(2), list[str]()

    def interrupt(line: str) -> None:
        heard_of.append(line)
        budget.interrupt.requested = True

    with two_places_held(), pool_of(2, Ledger(say=interrupt), budget, workers_per_trial=2) as pool:
        pool.train([winner])
    assert heard_of == [
        "the confirmation waits for a place, or for a process to start in it: the cluster has 1 of 3 CPUs free"
    ]


@pytest.mark.parametrize(("restarts", "retries"), [(100, 0), (0, 2)])
def test_what_no_worker_could_be_kept_up_for_is_no_outcome_and_the_next_session_trains_it(
    winner: Candidate,
    pool_of: PoolOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    restarts: int,
    retries: int,
) -> None:
    """No retry is allowed, or the worker is gone for good."""
    monkeypatch.setattr("distill_tune.tuning.verdict.confirmation_pool._WORKER_RESTARTS", restarts)
    first = Candidate("a", winner.config, winner.seeds[:1], winner.source)
    lost = of_400_epochs(winner, "b")
    logbook = Logbook(tmp_path)
    ledger = Ledger(watchers=[logbook, Killer("confirm-b")])
    with (
        pytest.raises(DistillTuneError, match=r"confirmation could not be finished: .* --resume takes it up"),
        pool_of(1, ledger, Budget(2), retries=retries) as pool,
    ):
        pool.train([first, lost])
    logbook.release()
    assert [r.status for r in ledger.records.values()] == [Status.COMPLETED, Status.INTERRUPTED]
    known = History.of(tmp_path).confirmations
    assert [r.status for r in known.values()] == [Status.COMPLETED, Status.RUNNING]
    again = Ledger()
    with pool_of(1, again, Budget(2), known=known) as pool:
        pool.train([first, lost])
    assert [r.status for r in again.records.values()] == [Status.COMPLETED, Status.COMPLETED]
    assert len(lost.weights) == 1


def test_the_last_that_ends_its_process_in_two_sessions_does_not_keep_the_confirmation_from_its_end(
    winner: Candidate, pool_of: PoolOf, tmp_path: Path
) -> None:
    first = Candidate("a", winner.config, winner.seeds[:1], winner.source)
    poison, logbook = deadly(winner), Logbook(tmp_path)
    with (
        pytest.raises(DistillTuneError, match="--resume takes it up"),
        pool_of(1, Ledger(watchers=[logbook]), Budget(2), retries=0) as pool,
    ):
        pool.train([first, poison])
    logbook.release()
    known, again = History.of(tmp_path).confirmations, Ledger()
    assert [r.status for r in known.values()] == [Status.COMPLETED, Status.RUNNING]
    with pool_of(1, again, Budget(2), known=known, retries=0) as pool:
        pool.train([first, poison])
    assert [r.status for r in again.records.values()] == [Status.COMPLETED, Status.FAILED]


def test_a_training_whose_last_epoch_was_heard_but_not_its_end_is_complete_once_its_student_is_written(
    winner: Candidate, pool_of: PoolOf
) -> None:
    """The previous session was killed between the two."""
    seed = winner.seeds[0]
    reports = [{"epoch": epoch, "val/accuracy": 0.5, "val/loss": 1.0} for epoch in range(1, 10)]
    heard = TrialRecord(-1, winner.run_name(seed), winner.source.values, group="confirm-trial-0007", reports=reports)
    fresh, ledger = winner.again([seed]), Ledger()
    known = {heard.trial_id: heard}
    with pool_of(1, ledger, Budget(1), known=known) as pool:
        pool.train([fresh])
        assert fresh.weights[seed].stat().st_size > 0
        assert (heard.status, heard.epochs, len(heard.reports)) == (Status.COMPLETED, 9, 9)
        again = winner.again([seed])
        pool.train([again])
    assert again.weights == fresh.weights
    assert again.curves == {seed: heard.reports}


def test_a_fault_at_one_worker_ends_the_confirmation_and_keeps_no_other_waiting(
    winner: Candidate, pool_of: PoolOf
) -> None:
    fresh = winner.again(winner.seeds)
    ledger = Ledger(watchers=[Breaking(OSError(28, "No space left on device"))])
    with (
        pytest.raises(
            DistillTuneError,
            match=r"could not be finished: OSError: .*left on device; mend that, and --resume takes it up\.",
        ),
        pool_of(2, ledger, Budget(2)) as pool,
    ):
        pool.train([fresh])


def test_what_a_worker_says_may_be_lost_and_is_said_again(winner: Candidate, pool_of: PoolOf) -> None:
    """As when memory runs out or a node is lost: Ray then raises other errors than that of a dead actor."""
    fresh = winner.again(winner.seeds[:1])
    ledger = Ledger(watchers=[Breaking(ray.exceptions.OutOfMemoryError("the node's memory is used up"))])
    with pool_of(1, ledger, Budget(1)) as pool:
        pool.train([fresh])
    (record,) = ledger.records.values()
    assert (record.status, record.epochs) == (Status.COMPLETED, 9)
    assert len(fresh.weights) == 1


def test_a_training_that_spoils_its_process_fails_and_the_next_has_one_in_order(
    winner: Candidate, pool_of: PoolOf, tmp_path: Path
) -> None:
    loss = winner.config.loss.model_copy(update={"kind": "broken_loss:Spoiling", "temperature": 2.0})
    spoiling = Candidate("spoiling", winner.config.model_copy(update={"loss": loss}), winner.seeds[:1], winner.source)
    fresh = winner.again(winner.seeds[:1])
    ledger = Ledger()
    with pool_of(1, ledger, Budget(1)) as pool:
        pool.train([spoiling, fresh])
    assert [record.status for record in ledger.records.values()] == [Status.FAILED, Status.COMPLETED]
    (log,) = (tmp_path / "logs").iterdir()
    assert "CUDA error: device-side assert triggered" in log.read_text()


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_cannot_be_written_at_the_end_is_no_outcome_and_the_next_session_writes_it(
    winner: Candidate, pool_of: PoolOf, tmp_path: Path, lanes: int
) -> None:
    (tmp_path / WEIGHTS).touch()  # in place of a folder
    logbook = Logbook(tmp_path)
    ledger = Ledger(watchers=[logbook])
    with (
        pytest.raises(DistillTuneError, match=r"could not be finished: .* cannot be written .*--resume takes it up\."),
        pool_of(1, ledger, Budget(2), lanes=lanes) as pool,
    ):
        pool.train([Candidate("a", winner.config, winner.seeds, winner.source)])
    logbook.release()
    known = History.of(tmp_path).confirmations
    assert {record.status for record in known.values()} == {Status.RUNNING}
    (tmp_path / WEIGHTS).unlink()
    again, fresh = Ledger(), Candidate("a", winner.config, winner.seeds, winner.source)
    with pool_of(1, again, Budget(2), known=known, lanes=lanes) as pool:
        pool.train([fresh])
    assert {record.status for record in again.records.values()} == {Status.COMPLETED}
    assert all(path.stat().st_size for path in fresh.weights.values())
