"""Changes of a student's logits that a loss ignores: a shift, a scale, a rotation."""

from collections.abc import Callable

import numpy as np
import pytest
from losses_on_logits import Array, drawn, ours

from distill_tune.registry import LOSSES

Change = Callable[[Array, np.random.Generator], Array]


def a_constant_a_sample(logits: Array, rng: np.random.Generator) -> Array:
    return logits + rng.normal(size=(len(logits), 1)) * 5


def a_scale_a_sample(logits: Array, rng: np.random.Generator) -> Array:
    return logits * rng.uniform(0.2, 5, size=(len(logits), 1))


def one_scale(logits: Array, rng: np.random.Generator) -> Array:
    return logits * rng.uniform(0.2, 5)


def one_shift(logits: Array, rng: np.random.Generator) -> Array:
    return logits + rng.normal(size=logits.shape[1]) * 5


def a_rotation(logits: Array, rng: np.random.Generator) -> Array:
    return logits @ np.linalg.qr(rng.normal(size=(logits.shape[1],) * 2))[0]


CHANGES: list[Change] = [a_constant_a_sample, a_scale_a_sample, one_scale, one_shift, a_rotation]
FREE: dict[str, set[Change]] = {
    "soft_targets": {a_constant_a_sample},
    "logit_standardization": {a_constant_a_sample, a_scale_a_sample, one_scale},
    "dkd": {a_constant_a_sample},
    "dist": {a_constant_a_sample},
    "mlkd": {a_constant_a_sample},
    "mse_logits": set(),
    "rkd": {one_scale, one_shift, a_rotation},
    "sp": {one_scale, a_rotation},
}


def test_the_invariances_of_every_loss_on_logits_are_listed() -> None:
    entries = {name: LOSSES.get(name)() for name in LOSSES.names}
    on_logits = {n for n, loss in entries.items() if loss.uses_teacher and not loss.reads_features}
    told = "test_loss_invariances.py: FREE must have what each loss on logits does not change with"
    assert set(FREE) == on_logits, told


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_loss_has_the_invariances_that_are_listed_and_no_others(name: str, change: Change) -> None:
    student, teacher = drawn(3)
    changed = change(student, np.random.default_rng(4))
    same = ours(name, changed, teacher) == pytest.approx(ours(name, student, teacher), rel=1e-6)
    assert same == (change in FREE[name])
