"""Deaths of a training's process or node, without a Ray: those before a new epoch no longer count."""

from pathlib import Path

import pytest

from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.confirmation_pool import ConfirmationPool
from distill_tune.tuning.verdict.confirmation_worker import WorkerContext
from distill_tune.tuning.verdict.training import Training


@pytest.fixture
def pool(winner: Candidate, tmp_path: Path) -> ConfirmationPool:
    """One whose trainings may lose their process once."""
    context = WorkerContext(winner.config.resources, tmp_path, retries=1)
    return ConfirmationPool(1, context, Prepared(tmp_path, None), Ledger(), Budget(1))


def lost(pool: ConfirmationPool, training: Training, *epochs: int) -> list[Training]:
    """The training as it is started again after its worker has told of these epochs and died."""
    work = pool._runs.take(training)
    pool._runs.hear(work, [{"epoch": epoch, "val/accuracy": 0.5} for epoch in epochs])
    return pool._died([work], "its node was lost")


def test_a_training_goes_on_after_any_number_of_lost_nodes_if_it_has_come_further_each_time(
    pool: ConfirmationPool, winner: Candidate
) -> None:
    training = Training(winner, winner.seeds[0], retries_left=1)
    for epoch in range(1, 5):
        (training,) = lost(pool, training, epoch)
        assert training.retries_left == 0
    assert pool._left == []


def test_one_that_dies_each_time_before_a_new_epoch_is_given_up(pool: ConfirmationPool, winner: Candidate) -> None:
    (training,) = lost(pool, Training(winner, winner.seeds[0], retries_left=1), 1, 2)
    assert lost(pool, training, 1, 2) == []
    assert [each.name for each in pool._left] == [training.name]
