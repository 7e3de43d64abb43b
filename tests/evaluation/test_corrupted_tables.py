"""Corrupted table rows are rows that the encoder could have made, gaps and categories included."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from runs import TABLE, run_space

from distill_tune.config import Config, Space
from distill_tune.data.dataset import open_test
from distill_tune.data.encoder import TableEncoder
from distill_tune.distillation.materials.materials import CORRUPTED, Materials
from distill_tune.evaluation.corrupted import corrupted_accuracies, corruptions_for, dealt_out
from distill_tune.evaluation.corruptions import SEVERITIES
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.layout import Layout
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.examination import examine, load_student
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.worker_group import train

Array = NDArray[Any]
TABLES = ("drift", "missing", "noise", "swap")
every_corruption = pytest.mark.parametrize("name", TABLES)
every_severity = pytest.mark.parametrize("severity", SEVERITIES)


def people(rows: int = 2000) -> pd.DataFrame:
    """Numbers and categories, one of each with gaps."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"height": random.normal(170, 10, rows), "city": random.choice(["x", "y", "z"], rows)})
    frame["age"], frame["colour"] = random.normal(40, 9, rows), random.choice(["red", "blue"], rows)
    frame.loc[random.random(rows) < 0.2, "age"] = np.nan
    frame.loc[random.random(rows) < 0.2, "city"] = None
    return frame


FRAME = people()
ENCODER = TableEncoder.fit(FRAME)
ROWS = ENCODER.transform(FRAME)
LAYOUT = Layout.of_encoder(ENCODER.to_dict())
NAMES = list(ENCODER.feature_names)


def worse(name: str, severity: int = 3, seed: int = 0) -> Array:
    return corruptions_for(ROWS.ndim, LAYOUT)[name].apply(ROWS, severity, seed, LAYOUT)


def feature(rows: Array, name: str) -> Array:
    found: Array = rows[:, NAMES.index(name)]
    return found


def decoded(rows: Array) -> pd.DataFrame:
    """The table that the encoder would turn into these rows; `"?"` is a category unseen in training."""
    frame = {}
    for number in ENCODER.numbers:
        frame[number.name] = feature(rows, number.name) * number.std + number.mean
        if number.missing:
            frame[number.name][feature(rows, f"{number.name} is missing") == 1] = np.nan
    for name, known in ENCODER.categories.items():
        called = [f"{name} is missing" if value is None else f"{name} = {value}" for value in known]
        shares = np.stack([feature(rows, each) for each in called], axis=1)
        values = np.array([*known, "?"], dtype=object)
        frame[name] = values[np.where(shares.any(1), shares.argmax(1), len(known))]
    return pd.DataFrame(frame)


def assert_encoded(rows: Array) -> None:
    """Check that the encoder could have made these rows."""
    np.testing.assert_allclose(ENCODER.transform(decoded(rows)), rows, atol=1e-5)


def test_a_layout_has_every_feature_of_the_encoder_in_its_place() -> None:
    columns = ["height", "age", "city", "colour"]
    told = [columns[column] for column in LAYOUT.column_of]
    assert told == [name.partition(" ")[0] for name in NAMES]
    assert (LAYOUT.numbers, LAYOUT.columns) == (2, 4)
    nobody = pd.DataFrame({"height": [np.nan], "age": [np.nan], "city": [None], "colour": [None]})
    np.testing.assert_array_equal(ENCODER.transform(nobody)[0], LAYOUT.missing)
    np.testing.assert_array_equal(LAYOUT.gaps(ROWS), FRAME[["height", "age"]].isna())


@every_corruption
@every_severity
def test_worsened_rows_are_such_as_the_encoder_makes(name: str, severity: int) -> None:
    assert_encoded(worse(name, severity))


@every_severity
def test_missing_values_are_encoded_as_real_gaps_are(severity: int) -> None:
    """Recomputed from the table: the missing values are removed from it, and it is encoded again."""
    rows = worse("missing", severity)
    with_holes, gone = FRAME.astype(object), {}
    gone["height"] = feature(rows, "height") == 0
    gone["age"] = feature(rows, "age is missing") == 1
    gone["city"] = feature(rows, "city is missing") == 1
    gone["colour"] = feature(rows, "colour = red") + feature(rows, "colour = blue") == 0
    for name, lost in gone.items():
        share = (0.1, 0.25, 0.5)[severity - 1]
        assert lost[FRAME[name].notna()].mean() == pytest.approx(share, abs=0.03)
        with_holes.loc[lost, name] = None
    again = ENCODER.transform(with_holes.astype({"height": float, "age": float}))
    np.testing.assert_array_equal(again, rows)


@pytest.mark.parametrize("name", ["noise", "drift"])
@every_severity
def test_noise_and_drift_are_of_the_numbers_that_are_there(name: str, severity: int) -> None:
    rows, gaps = worse(name, severity), FRAME[["height", "age"]].isna().to_numpy()
    np.testing.assert_array_equal(rows[:, 2:], ROWS[:, 2:])
    assert (rows[:, :2][gaps] == 0).all()
    assert (rows[:, :2] != ROWS[:, :2])[~gaps].mean() > 0.99


@every_severity
def test_a_value_is_swapped_with_all_of_its_features(severity: int) -> None:
    swapped = decoded(worse("swap", severity))
    share = (0.1, 0.2, 0.4)[severity - 1]
    assert (swapped["height"] - FRAME["height"]).abs().gt(1e-3).mean() == pytest.approx(share, abs=0.03)
    for name in ("city", "colour"):
        before, after = FRAME[name].fillna("none"), swapped[name].fillna("none")
        to_another = share * (1 - (before.value_counts(normalize=True) ** 2).sum())
        assert (before != after).mean() == pytest.approx(to_another, abs=0.03)
    assert swapped["age"].isna().mean() == pytest.approx(FRAME["age"].isna().mean(), abs=0.03)
    assert (swapped["age"].isna() & FRAME["age"].notna()).any()


GOLDEN = {"drift": -338.18643406745, "missing": 28.742341867064, "noise": 35.298735254986, "swap": 20.849104566679}
"""Mean of the values, each times its index, from before rows had a layout."""


@every_corruption
def test_numbers_alone_are_worsened_as_ever_with_and_without_a_layout(name: str) -> None:
    rows = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    made = corruptions_for(rows.ndim)[name]
    found = made.apply(rows, 2, 5)
    np.testing.assert_array_equal(found, made.apply(rows, 2, 5, Layout.of_numbers(16)))
    places = np.arange(rows.size).reshape(rows.shape)
    assert (found.astype(float) * places).mean() == pytest.approx(GOLDEN[name], rel=1e-6)


def test_categories_alone_are_only_lost_and_swapped() -> None:
    frame = FRAME[["city", "colour"]]
    encoder = TableEncoder.fit(frame)
    rows, layout = encoder.transform(frame), Layout.of_encoder(encoder.to_dict())
    assert set(corruptions_for(rows.ndim, layout)) == {"missing", "swap"}
    inputs, _ = dealt_out(rows, np.arange(len(rows)), layout=layout)
    assert (inputs[:, :4].sum(1) == 1).all()  # a city, or the mark that it is missing


# In a search


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Space:
    """A space on a file of such people, in which the tall ones of two cities are one class."""
    path = tmp_path_factory.mktemp("people") / "people.csv"
    tall = (FRAME["height"] > 170) & FRAME["city"].isin(["x", "y"])
    FRAME.assign(kind=np.where(tall, "one", "other")).to_csv(path, index=False)
    base = {name: table for name, table in TABLE.items() if name != "data"}
    search = {"max_epochs": 2, "objectives": [CORRUPTED]}
    return run_space(base, data={"source": "csv", "path": str(path)}, search=search)


def test_trials_meet_rows_that_the_encoder_could_have_made(
    space: Space, ready: Callable[[Space], tuple[Config, Any]]
) -> None:
    config, preparation = ready(space)
    dataset = preparation.dataset
    encoder = TableEncoder.from_dict(dataset.encoder)
    assert encoder.feature_names == ENCODER.feature_names
    corrupted = Materials.open(preparation.prepared, config).corrupted
    assert corrupted is not None
    rows = corrupted[0].numpy()
    assert set(np.unique(rows[:, dataset.layout.numbers :])) == {0.0, 1.0}
    assert (rows[rows[:, 2] == 1, 1] == 0).all()  # a missing age is encoded as the mean


def test_the_examination_knows_numbers_from_categories(
    space: Space, ready: Callable[[Space], tuple[Config, Any]], tmp_path: Path
) -> None:
    config, preparation = ready(space)
    dataset = preparation.dataset
    candidate = Candidate("one", config, [1, 2], TrialRecord(0, "0000", {}))
    for seed in candidate.seeds:
        candidate.weights[seed] = weights = tmp_path / f"{seed}.safetensors"
        list(train(Assignment("one", config, seed, preparation.prepared, keep=weights), "cpu"))
    examined = examine([candidate], preparation.teacher, dataset).by_candidate["one"]

    test = open_test(dataset)
    students = [load_student(config, dataset, weights) for weights in candidate.weights.values()]
    answers = [partial(predict_logits, student) for student in students]
    measure = partial(corrupted_accuracies, answers, test.inputs, test.labels)
    knowing, not_knowing = measure(layout=dataset.layout), measure()
    assert examined.corrupted_accuracy == pytest.approx(np.mean([each["mean"] for each in knowing]))
    assert examined.corrupted_accuracy != pytest.approx(np.mean([each["mean"] for each in not_knowing]))
