"""The contract of every corruption."""

import numpy as np
import pytest
from corrupted_inputs import INPUTS, corruption

from distill_tune.evaluation.corrupted import corruptions_for
from distill_tune.evaluation.corruptions import SEVERITIES
from distill_tune.registry import CORRUPTIONS

CASES = [(name, kind) for kind, inputs in INPUTS.items() for name in corruptions_for(inputs.ndim)]


def test_every_corruption_fits_something() -> None:
    assert {name for name, _ in CASES} == set(CORRUPTIONS.names)


def test_images_and_tables_have_corruptions_of_their_own() -> None:
    photographs, digits, rows = (set(corruptions_for(INPUTS[kind].ndim)) for kind in ("photographs", "digits", "rows"))
    assert digits == photographs
    assert photographs & rows == {"noise"}
    assert len(photographs) >= 12
    assert len(rows) >= 4


@pytest.mark.parametrize(("name", "kind"), CASES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_shape_dtype_and_range_are_kept_and_the_input_is_not_touched(name: str, kind: str, severity: int) -> None:
    inputs = INPUTS[kind].copy()
    inputs.flags.writeable = False
    worse = corruption(name).apply(inputs, severity, 0)
    assert worse.shape == inputs.shape
    assert worse.dtype == inputs.dtype
    assert np.isfinite(worse).all()
    if kind != "rows":
        assert worse.max() <= inputs.max()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_same_seed_gives_the_same_corruption(name: str, kind: str) -> None:
    first, again = (corruption(name).apply(INPUTS[kind], 2, seed=5) for _ in range(2))
    assert np.array_equal(first, again)


NOT_RANDOM = {"blur", "brightness", "contrast", "pixelate", "scale"}


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_another_seed_gives_another_corruption_where_anything_is_random(name: str, kind: str) -> None:
    first, second = (corruption(name).apply(INPUTS[kind], 2, seed) for seed in (0, 1))
    assert np.array_equal(first, second) == (name in NOT_RANDOM)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_higher_severity_changes_more(name: str, kind: str) -> None:
    inputs = INPUTS[kind].astype(float)
    changes = [np.abs(corruption(name).apply(INPUTS[kind], s, 0) - inputs).mean() for s in SEVERITIES]
    assert 0 < changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_black_images_and_empty_sets_are_no_trouble(name: str, kind: str) -> None:
    black = np.zeros_like(INPUTS[kind][:3])
    assert corruption(name).apply(black, 3, 0).shape == black.shape
    assert corruption(name).apply(black[:0], 3, 0).shape == black[:0].shape


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if case[1] != "rows"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 13)])
def test_images_of_any_shape_can_be_worse(name: str, kind: str, shape: tuple[int, int]) -> None:
    inputs = INPUTS[kind][:20, :, : shape[0], : shape[1]] if kind == "photographs" else INPUTS[kind][:20, :, :1, :7]
    assert corruption(name).apply(inputs, 3, 0).shape == inputs.shape
