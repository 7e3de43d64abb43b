"""Contract of every corruption, and the accuracy under them."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from distill_tune.evaluation.corrupted import corrupted_accuracy, corruptions_for
from distill_tune.evaluation.corruptions._base import SEVERITIES, Corruption
from distill_tune.registry import CORRUPTIONS

Array = NDArray[Any]

RANDOM = np.random.default_rng(0)
INPUTS: dict[str, Array] = {
    "digits": load_digits().images[:200, None].astype(np.uint8),
    "photographs": np.cumsum(RANDOM.integers(0, 14, (30, 3, 32, 32)), axis=-1).clip(0, 255).astype(np.uint8),
    "rows": RANDOM.standard_normal((300, 16)).astype(np.float32),
}
CASES = [(name, kind) for kind, inputs in INPUTS.items() for name in corruptions_for(inputs)]


def corruption(name: str) -> Corruption:
    made: Corruption = CORRUPTIONS.get(name)()
    return made


def test_every_corruption_fits_something() -> None:
    assert {name for name, _ in CASES} == set(CORRUPTIONS.names)


def test_images_and_tables_have_corruptions_of_their_own() -> None:
    assert set(corruptions_for(INPUTS["digits"])) == {"noise", "blur", "contrast", "brightness", "shift"}
    assert set(corruptions_for(INPUTS["rows"])) == {"noise", "missing"}


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


@pytest.mark.parametrize("name", ["noise", "missing", "shift"])
def test_another_seed_gives_another_corruption(name: str) -> None:
    kind = "rows" if name == "missing" else "digits"
    first, second = (corruption(name).apply(INPUTS[kind], 2, seed) for seed in (0, 1))
    assert not np.array_equal(first, second)


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


def test_a_shift_by_one_pixel_moves_every_pixel_by_one() -> None:
    image = np.zeros((1, 1, 25, 25), dtype=np.uint8)
    image[0, 0, 12, 12] = 100
    moved = corruption("shift").apply(image, 1, 0)
    assert np.abs(np.argwhere(moved[0, 0] == 100) - 12).tolist() == [[1, 1]]


def test_missing_numbers_are_the_mean_and_the_others_are_untouched() -> None:
    rows = INPUTS["rows"]
    holes = corruption("missing").apply(rows, 3, 0) != rows
    assert holes.mean() == pytest.approx(0.5, abs=0.02)
    assert (corruption("missing").apply(rows, 3, 0)[holes] == 0).all()


def test_corrupted_accuracy_is_a_mean_over_severities_and_corruptions() -> None:
    rows = INPUTS["rows"]
    labels = np.arange(len(rows)) % 2
    seen = []

    def predict(inputs: Array) -> Array:
        seen.append(inputs)
        return np.eye(2)[labels] if len(seen) <= 3 else np.eye(2)[1 - labels]

    assert corrupted_accuracy(predict, rows, labels) == {"missing": 1.0, "noise": 0.0, "mean": 0.5}
    assert len(seen) == 6


def test_one_who_knows_the_clean_digits_only_is_worse_on_corrupted_ones() -> None:
    digits = load_digits()
    images, labels = digits.images[:, None].astype(np.uint8), digits.target

    def nearest(inputs: Array) -> Array:
        flat, known = (
            inputs.reshape(len(inputs), -1).astype(float),
            images[:600].reshape(600, -1).astype(float),
        )
        distance = (flat**2).sum(1)[:, None] - 2 * flat @ known.T + (known**2).sum(1)
        logits: Array = np.eye(10)[labels[distance.argmin(1)]]
        return logits

    clean = (nearest(images[600:]).argmax(1) == labels[600:]).mean()
    corrupted = corrupted_accuracy(nearest, images[600:], labels[600:])
    assert 0.2 < corrupted["mean"] < clean
    assert corrupted == corrupted_accuracy(nearest, images[600:], labels[600:])


def test_importing_the_corruptions_does_not_import_torch_or_scipy() -> None:
    code = (
        "import sys; from distill_tune.registry import CORRUPTIONS; "
        "[CORRUPTIONS.get(name)() for name in CORRUPTIONS.names]; "
        "print([name for name in ('torch', 'ray', 'sklearn', 'pandas', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
