"""Sparse logits for many classes: what stays exact, how large the error can be, and what is saved."""

from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distill_tune.arrays import read_arrays
from distill_tune.config import Config, Space
from distill_tune.distillation.cache.folders import outputs_folder
from distill_tune.distillation.cache.sparse import AUTO_ABOVE, AUTO_KEEP, SparseLogits, kept, sample_bytes
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.loop import distill

logits_and_keep = st.tuples(st.integers(2, 60), st.integers(1, 59), st.floats(0.1, 12.0), st.integers(0, 2**31)).filter(
    lambda drawn: drawn[1] < drawn[0]
)


def made(drawn: tuple[int, int, float, int]) -> tuple[Tensor, int]:
    classes, keep, scale, seed = drawn
    return scale * torch.randn(7, classes, generator=torch.Generator().manual_seed(seed)), keep


def kl(teacher: Tensor, other: Tensor, temperature: float = 1.0) -> Tensor:
    """Return KL(teacher || other) per sample, float64 [n], in nats."""
    log_p, log_q = ((each.double() / temperature).log_softmax(1) for each in (teacher, other))
    return (log_p.exp() * (log_p - log_q)).sum(1)


@given(logits_and_keep)
def test_the_largest_keep_their_probabilities_and_the_rest_its_mass(drawn: tuple[int, int, float, int]) -> None:
    logits, keep = made(drawn)
    dense = SparseLogits.of(logits, keep).dense()
    p, q = logits.double().softmax(1), dense.double().softmax(1)
    top = logits.topk(keep, dim=1).indices
    torch.testing.assert_close(q.gather(1, top), p.gather(1, top), rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(dense.gather(1, top), logits.gather(1, top), rtol=0, atol=0)
    rest = torch.ones_like(p, dtype=torch.bool).scatter_(1, top, False)
    torch.testing.assert_close((q * rest).sum(1), (p * rest).sum(1), rtol=1e-5, atol=1e-9)
    assert (dense.argmax(1) == logits.argmax(1)).all()


@given(logits_and_keep)
def test_the_bias_at_temperature_1_is_the_tails_mass_times_what_its_shape_says(
    drawn: tuple[int, int, float, int],
) -> None:
    logits, keep = made(drawn)
    ranked = logits.double().softmax(1).sort(1, descending=True).values
    tail = ranked[:, keep:]
    mass = tail.sum(1)
    shape = tail / mass[:, None]
    lost = mass * (log(tail.shape[1]) + torch.special.xlogy(shape, shape).sum(1))
    bias = kl(logits, SparseLogits.of(logits, keep).dense())
    torch.testing.assert_close(bias, lost, rtol=1e-3, atol=1e-6)
    assert (bias <= mass * log(tail.shape[1]) + 1e-6).all()


@settings(max_examples=40)
@given(logits_and_keep, st.floats(1.0, 20.0))
def test_a_hot_temperature_overstates_the_tail_and_leaves_the_largest_their_proportions(
    drawn: tuple[int, int, float, int], temperature: float
) -> None:
    logits, keep = made(drawn)
    top = logits.topk(keep, dim=1).indices
    p, q = ((each.double() / temperature).softmax(1) for each in (logits, SparseLogits.of(logits, keep).dense()))
    of_top = [each.gather(1, top) for each in (p, q)]
    assert (of_top[1].sum(1) <= of_top[0].sum(1) + 1e-6).all()
    shares = [each / each.sum(1, keepdim=True) for each in of_top]
    torch.testing.assert_close(shares[0], shares[1], rtol=1e-4, atol=1e-7)


def synthetic_teacher(classes: int = 1000) -> Tensor:
    """Return logits that are confident in a few classes, as teachers are: normal, and some far above the others."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(400, classes, generator=generator)
    return logits + 7.0 * torch.rand(400, classes, generator=generator).pow(60)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 8.0])
def test_the_bias_shrinks_with_every_logit_that_is_kept(temperature: float) -> None:
    logits = synthetic_teacher()
    found = [
        kl(logits, SparseLogits.of(logits, keep).dense(), temperature).mean().item() for keep in (10, 100, 500, 999)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0, abs=1e-6)


def test_all_are_kept_of_few_classes_and_where_it_is_asked_for() -> None:
    assert kept(None, AUTO_ABOVE) is None
    assert kept(None, AUTO_ABOVE + 1) == AUTO_KEEP
    assert kept("all", 10_000) is None
    assert (kept(5, 10), kept(10, 10), kept(11, 10)) == (5, None, None)


@pytest.mark.parametrize(("classes", "dtype"), [(1000, torch.int16), (40_000, torch.int32)])
def test_every_class_can_be_named(classes: int, dtype: torch.dtype) -> None:
    logits = torch.zeros(1, classes)
    logits[0, -1] = 5.0
    sparse = SparseLogits.of(logits, 1)
    assert sparse.index.dtype == dtype
    assert sparse.dense().argmax() == classes - 1


@pytest.fixture(scope="module")
def of_many_classes() -> dict[str, Any]:
    return {
        "data": {"source": "blobs", "blobs": {"samples": 2000, "features": 12, "classes": 320, "informative": 10}},
        "teacher": {"source": "train", "family": "mlp", "mlp": {"widths": [16]}, "train": {"epochs": 1}},
        "search": {"max_epochs": 1},
    }


Ready = Callable[[Space], tuple[Config, Any]]


def cache_of(table_space: Callable[..., Space], ready: Ready, sections: dict[str, Any], keep: Any) -> Path:
    teacher = sections["teacher"] | ({} if keep is None else {"keep": keep})
    config, preparation = ready(table_space(**{**sections, "teacher": teacher}))
    return outputs_folder(preparation.prepared.teacher_folder, config)


def test_the_cache_shrinks_as_computed(
    table_space: Callable[..., Space], ready: Ready, of_many_classes: dict[str, Any]
) -> None:
    sizes = {}
    for keep in ("all", None, 10):
        folder = cache_of(table_space, ready, of_many_classes, keep)
        samples = len(read_arrays(folder / "train.arrow")["view_00000"])
        sizes[keep] = (folder / "train.arrow").stat().st_size
        computed = samples * sample_bytes(320, kept(keep, 320))
        assert computed <= sizes[keep] <= computed + 4096  # the file's header and footer
    assert sizes[10] < sizes[None] < sizes["all"]


def test_a_student_trains_on_what_is_kept_and_on_all_of_it_alike_where_all_is_kept(
    table_space: Callable[..., Space], ready: Ready, of_many_classes: dict[str, Any]
) -> None:
    losses = {}
    for keep in ("all", 319, 10):
        teacher = of_many_classes["teacher"] | {"keep": keep}
        config, preparation = ready(table_space(**{**of_many_classes, "teacher": teacher}))
        materials = Materials.open(preparation.prepared, config)
        losses[keep] = next(distill(config, materials, 0)).report["train/soft_loss"]
    assert losses[319] == pytest.approx(losses["all"], rel=1e-5)  # a tail of one class has no shape to lose
    assert losses[10] != losses["all"]


def test_batches_see_the_samples_that_they_ask_for(
    table_space: Callable[..., Space], ready: Ready, of_many_classes: dict[str, Any]
) -> None:
    config, preparation = ready(table_space(**of_many_classes))
    outputs = Materials.open(preparation.prepared, config).teacher
    assert outputs is not None
    index = torch.tensor([5, 3, 5])
    np.testing.assert_array_equal(outputs.take(0, index).numpy(), outputs.logits(0)[index].numpy())
