"""Batches: every visible sample in an order fixed by the seed, with the right labels, logits and partners."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from distill_tune.arrays import write_arrays
from distill_tune.config.sections import AugmentationConfig
from distill_tune.data import UNLABELLED
from distill_tune.distillation.cache.outputs import TeacherOutputs
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.materials.batches import Batch, Batches
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.views import Views
from distill_tune.errors import ConfigError

NUM, CLASSES = 103, 3


def made(labels: Tensor | None = None, teacher: TeacherOutputs | None = None, mixup: float = 0, **keys: Any) -> Batches:
    """Batches of `NUM` samples whose inputs, and by default labels, are their own numbers."""
    inputs = torch.arange(NUM).float().view(-1, 1)
    views = Views(AugmentationConfig(mixup=mixup), inputs, (), 0)
    keys = {"batch_size": 10, "seed": 0} | keys
    return Batches(views, torch.arange(NUM) if labels is None else labels, teacher, **keys)


def seen(batches: Batches, epoch: int) -> list[list[int]]:
    """The sample numbers of each batch."""
    return [batch.inputs.flatten().long().tolist() for batch in batches.epoch(epoch)]


@pytest.fixture
def outputs(tmp_path: Path) -> TeacherOutputs:
    """Outputs for three views, in which the logits of sample i are i plus 1000 times the view."""
    numbers = np.arange(NUM, dtype=np.float32)[:, None] + np.zeros(CLASSES, dtype=np.float32)
    write_arrays(tmp_path / "train.arrow", {f"view_{view:05d}": numbers + 1000 * view for view in range(3)})
    write_arrays(tmp_path / "validation.arrow", {"logits": numbers})
    return TeacherOutputs(tmp_path)


def test_an_epoch_shows_no_sample_twice_and_fills_every_batch() -> None:
    shown = seen(made(), 1)
    assert [len(batch) for batch in shown] == [10] * 10
    assert len({sample for batch in shown for sample in batch}) == 100


def test_an_order_is_that_of_its_seed_and_epoch_alone() -> None:
    assert seen(made(), 4) == seen(made(), 4)
    assert seen(made(), 4) != seen(made(), 5)
    assert seen(made(), 4) != seen(made(seed=1), 4)


def test_what_fills_no_batch_gets_its_turn_in_another_epoch() -> None:
    batches = made()
    assert {sample for epoch in range(1, 9) for batch in seen(batches, epoch) for sample in batch} == set(range(NUM))


@given(st.integers(1, 6), st.integers(1, 200), st.integers(1, 3), st.booleans())
def test_the_workers_of_a_trial_share_each_batch_equally(world: int, batch_size: int, passes: int, mixed: bool) -> None:
    assume(min(batch_size, NUM) >= world)
    batch_size -= batch_size % world
    keys: dict[str, Any] = {"batch_size": batch_size, "passes": passes, "mixup": 0.5 * mixed}
    shards = [made(shard=Shard(rank, world), **keys) for rank in range(world)]
    parts = [list(shard.epoch(2)) for shard in shards]
    whole = shards[0]
    assert {len(part) for part in parts} == {whole.steps_per_epoch}
    assert {len(batch.labels) for part in parts for batch in part} == {whole.batch_size // world}
    assert whole.samples_per_epoch == whole.steps_per_epoch * whole.batch_size
    if whole.batch_size == batch_size:  # enough samples for a whole batch
        alone = list(made(**keys).epoch(2))
        for step, batch in enumerate(alone):
            assert torch.equal(torch.cat([part[step].inputs for part in parts]), batch.inputs)
            assert torch.equal(torch.cat([part[step].labels for part in parts]), batch.labels)


def test_fewer_samples_than_a_batch_are_one_batch_in_equal_parts() -> None:
    batches = [made(batch_size=1024, shard=Shard(rank, 2)) for rank in range(2)]
    assert batches[0].batch_size == 102
    shown = [sample for shard in batches for batch in seen(shard, 1) for sample in batch]
    assert len(shown) == len(set(shown)) == 102


def test_more_workers_than_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^optim\.batch_size: 4 workers need a sample each, but a batch has 3; "):
        made(batch_size=3, shard=Shard(0, 4))


def test_passes_are_orders_and_views_of_their_own(outputs: TeacherOutputs) -> None:
    batches = made(teacher=outputs, passes=2)
    assert batches.steps_per_epoch == 20
    views = [view_of(batch) for batch in batches.epoch(1)]
    assert views == [0] * 10 + [1] * 10
    assert [view_of(batch) for batch in batches.epoch(2)] == [2] * 10 + [0] * 10
    shown = seen(batches, 1)
    assert shown[:10] != shown[10:]


def test_a_batch_says_which_samples_it_has() -> None:
    """Its own samples, not their mixing partners; each occurs once per pass."""
    labels = torch.arange(NUM).flip(0)
    for batches in (made(labels), made(labels, mixup=0.5), made(labels, shard=Shard(1, 2))):
        told = list(batches.epoch(1))
        for batch in told:
            assert batch.rows is not None
            assert torch.equal(labels[batch.rows], batch.labels)
        every = torch.cat([batch.rows for batch in told if batch.rows is not None])
        assert len(every.unique()) == len(every)


def view_of(batch: Batch) -> int:
    """The view of a batch, read off the logits of the fixture's teacher."""
    assert batch.teacher_logits is not None
    return int(batch.teacher_logits[0, 0] // 1000)


def test_a_cached_view_comes_again_after_as_many_epochs_as_there_are_views(outputs: TeacherOutputs) -> None:
    batches = made(teacher=outputs, mixup=0.5)

    def shown(epoch: int) -> dict[int, tuple[float, float]]:
        """Map each sample to its mixed input and its teacher's logit; the label's integer part is the sample."""
        return {
            int(label): (float(x), float(logit[0]))
            for batch in batches.epoch(epoch)
            for label, x, logit in zip(batch.labels, batch.inputs, batch.teacher_logits, strict=True)  # type: ignore[arg-type]
        }

    first, second, fourth = shown(1), shown(2), shown(4)
    both = first.keys() & fourth.keys()
    assert len(both) > 90
    assert all(first[sample] == fourth[sample] for sample in both)
    assert all(first[sample] != second[sample] for sample in first.keys() & second.keys())


def test_without_a_teacher_no_view_comes_again() -> None:
    inputs = [torch.cat([batch.inputs for batch in made(mixup=0.5).epoch(epoch)]) for epoch in (1, 9)]
    assert not set(inputs[0].flatten().tolist()) & set(inputs[1].flatten().tolist())


def test_labels_and_logits_are_those_of_the_inputs(outputs: TeacherOutputs) -> None:
    for batch in made(teacher=outputs).epoch(2):
        assert batch.teacher_logits is not None
        assert torch.equal(batch.labels, batch.inputs.flatten().long())
        assert torch.equal(batch.teacher_logits[:, 0] - 1000, batch.inputs.flatten())


def test_both_labels_of_a_mixture_are_those_of_its_two_sides() -> None:
    for batch in made(mixup=1.0).epoch(1):
        assert batch.partner_labels is not None
        assert batch.share is not None
        expected = batch.share * batch.labels + (1 - batch.share) * batch.partner_labels
        torch.testing.assert_close(batch.inputs.flatten(), expected)


def test_the_share_of_labels_is_that_of_all_samples() -> None:
    labels = torch.arange(NUM) % CLASSES
    assert {batch.labelled_share for batch in made(labels).epoch(1)} == {1.0}
    labels[25:] = UNLABELLED
    assert {batch.labelled_share for batch in made(labels).epoch(1)} == {25 / NUM}


def test_trainings_that_are_open_at_a_time_share_their_tensors_and_leave_none_behind(
    table_space: Any, ready: Any
) -> None:
    config, preparation = ready(table_space(data={"student_samples": 100}))
    one, other = (Materials.open(preparation.prepared, config) for _ in range(2))
    assert one.train_inputs is other.train_inputs
    assert one.teacher is other.teacher is not None
    assert Materials.open(preparation.prepared, config, see_all=True).train_inputs is not one.train_inputs
    left = weakref.ref(one.train_inputs), weakref.ref(one.teacher)
    del one, other
    gc.collect()
    assert [each() for each in left] == [None, None]
