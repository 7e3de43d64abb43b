"""What TensorBoard shows of the search as a whole: course, leaders, settings, charts and front."""

import tomllib
from pathlib import Path

import pytest
from shown_trials import TABLES, hparams_backend, read, report, series, trial, words
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata

from distill_tune.config.space import Space
from distill_tune.config.writing import as_toml
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status


def test_one_run_only_describes_the_experiment(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    runs = [f.name for f in tmp_path.iterdir() if metadata.EXPERIMENT_TAG in read(f).Tags()["tensors"]]
    assert runs == ["search"]


def test_the_search_run_tells_how_the_search_went(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    steps = [step for step, _ in series(tmp_path / "search", "search/best")]
    assert steps == list(range(1, 13))
    counts = {status: series(tmp_path / "search", f"search/{status}")[-1][1] for status in Status}
    known = {"running": 1, "completed": 3, "stopped": 4, "failed": 2, "infeasible": 1, "interrupted": 2}
    assert counts == known | {"paused": 0}
    assert series(tmp_path / "search", "rungs/epoch_0003")[-1] == (12, 12)
    assert read(tmp_path / "search").Scalars("search/trials_per_hour")[-1].value > 0


def test_the_leaderboard_names_the_best_and_no_failed_trial(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    rows = words(tmp_path / "search", "leaderboard").splitlines()
    assert rows[0] == "| # | trial | val/accuracy | status | epochs | parameters | settings |"
    listed = [row.split(" | ")[1] for row in rows[2:]]
    assert listed == [record.trial_id for record in ledger.ranked()]
    assert "0007" not in listed


def test_the_configuration_is_written_as_toml_that_gives_the_same_space(
    ledger: Ledger, space: Space, tmp_path: Path
) -> None:
    ledger.close()
    shown = words(tmp_path / "search", "configuration")
    assert "temperature = { log = [1.0, 20.0] }" in shown
    assert Space.parse(tomllib.loads(as_toml(space))) == space
    assert shown == f"```toml\n{as_toml(space)}```"


def test_charts_lay_training_beside_validation_and_labels_beside_teacher(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    event = read(tmp_path / "search").Tensors("custom_scalars__config__")[0]
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    lines = [list(chart.multiline.tag) for category in layout.category for chart in category.chart]
    assert ["^train/loss$", "^val/loss$"] in lines
    assert ["^train/hard_loss$", "^train/soft_loss$"] in lines


def test_further_terms_of_the_loss_are_charted_with_the_others(tmp_path: Path) -> None:
    tables = {"data": {"source": "digits"}, "student": {"family": "mlp"}}
    space = Space.parse({**tables, "loss": {"also": {"hint": {"log": [0.1, 1.0]}, "sp": 0.0}}})
    Ledger("val/accuracy", [TensorBoardWatcher(tmp_path, space, "val/accuracy")]).close()
    event = read(tmp_path / "search").Tensors("custom_scalars__config__")[0]
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    lines = [list(chart.multiline.tag) for category in layout.category for chart in category.chart]
    assert ["^train/hard_loss$", "^train/soft_loss$", "^train/hint_loss$"] in lines


def test_the_incumbent_is_the_trial_that_leads_whether_a_report_a_pause_or_an_end_put_it_there(
    space: Space, tmp_path: Path
) -> None:
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    records = [trial(space, number) for number in range(5)]
    for record, accuracy in zip(records, (0.5, 0.4, 0.8, 0.9, 0.1), strict=True):
        ledger.start(record)
        ledger.report(record.trial_id, report(1, accuracy), is_rung=True)
    ledger.end(records[1], Status.STOPPED)
    ledger.end(records[0], Status.COMPLETED)
    ledger.pause(records[2])
    ledger.end(records[3], Status.FAILED, "diverged")
    ledger.start(records[2])
    ledger.report("0002", report(2, 0.85))
    ledger.end(records[2], Status.COMPLETED)
    ledger.close()
    assert incumbents(tmp_path) == [(0, "0000"), (0, "0002"), (0, "0003"), (1, "0001"), (2, "0000"), (3, "0002")]


def incumbents(folder: Path) -> list[tuple[int, str]]:
    """Step and name of each incumbent that was written."""
    written = [(event.step, event.tensor_proto.string_val[0]) for event in read(folder / "search").Tensors("incumbent")]
    return [(step, said.decode().split("**")[1]) for step, said in written]


def test_after_a_resumption_the_incumbent_is_that_of_all_sessions(space: Space, tmp_path: Path) -> None:
    known, better = trial(space, 0), trial(space, 1)
    known.status, known.reports = Status.COMPLETED, [report(1, 0.5)]
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    ledger.know(known)
    ledger.start(better)
    ledger.report("0001", report(1, 0.6))
    ledger.end(better, Status.COMPLETED)
    ledger.close()
    assert incumbents(tmp_path) == [(1, "0000"), (2, "0001")]


def test_a_search_of_several_objectives_shows_them_all_first_and_its_front(tmp_path: Path) -> None:
    space = Space.parse({**TABLES, "search": {"objectives": ["val/accuracy", "latency_ms", "val/loss"]}})
    watcher = TensorBoardWatcher(tmp_path, space, "val/accuracy")
    ledger = Ledger("val/accuracy", [watcher], further=space.config.search.objectives[1:])
    for number, (accuracy, latency_ms) in enumerate([(0.9, 0.5), (0.8, 0.25), (0.7, 0.75)]):
        record = trial(space, number, latency_ms=latency_ms)
        ledger.start(record)
        ledger.report(record.trial_id, report(1, accuracy, **{"val/loss": 1 - accuracy}))
        ledger.end(record, Status.COMPLETED)
    ledger.close()
    about, groups = hparams_backend(tmp_path)
    assert [info.name.tag for info in about.metric_infos][:3] == ["val/accuracy", "trial/latency_ms", "val/loss"]
    shown = {value.name.tag: value.value for value in groups["0001"].metric_values}
    assert (shown["trial/latency_ms"], shown["val/accuracy"]) == (0.25, pytest.approx(0.8))
    assert series(tmp_path / "search", "search/front")[-1] == (3, 2.0)
    front = words(tmp_path / "search", "front").splitlines()
    assert front[0] == "| trial | val/accuracy | latency_ms | val/loss |"
    assert front[2:] == ["| 0000 | 0.9000 | 0.5000 | 0.1000 |", "| 0001 | 0.8000 | 0.2500 | 0.2000 |"]
