"""What TensorBoard itself reads of a search: its event accumulator, its HParams backend, and its server."""

import json
import math
import random
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups, metadata

from distill_tune.config.space import Space
from distill_tune.config.writing import as_toml
from distill_tune.tuning.showing.hparams import columns_of
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord

TABLES: dict[str, Any] = {
    "data": {"source": "digits"},
    "student": {
        "family": ["mlp", "convnet"],
        "mlp": {"widths": {"choice": [[20, 20, 20], [64]]}},
        "convnet": {"width": {"choice": [4, 8, 16]}, "depth": {"int": [2, 4]}},
    },
    "loss": {"kind": ["soft_targets", "labels"], "temperature": {"log": [1.0, 20.0]}},
    "optim": {"learning_rate": {"log": [1e-4, 1e-1]}, "batch_size": {"choice": [32, 64]}},
    "augmentation": {"mixup": {"uniform": [0.0, 1.0]}},
}
ALL_STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


class Dice:
    """Stands for an Optuna trial: samples with a seed."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._random.choice(choices)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return self._random.randint(low, high)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._random.uniform(low, high)


def trial(space: Space, number: int, **others: Any) -> TrialRecord:
    values = space.suggest(Dice(number))
    return TrialRecord(number, f"{number:04d}", values, parameters=1000 + number, multiply_adds=5000, **others)


def report(epoch: int, accuracy: float, **others: float) -> dict[str, float]:
    return {"epoch": epoch, "val/accuracy": accuracy, "train/loss": 2 - accuracy, "time/training_s": 0.1, **others}


ENDS = [Status.COMPLETED] * 3 + [Status.STOPPED] * 4 + [Status.FAILED] * 2 + [Status.INTERRUPTED] * 2
"""How trials 0 to 10 end; trial 11 goes on running, and trial 12 is infeasible."""


@pytest.fixture
def space() -> Space:
    return Space.parse(TABLES)


@pytest.fixture
def ledger(space: Space, tmp_path: Path) -> Iterator[Ledger]:
    """Thirteen trials of a search that goes on until a test, or its end, closes it."""
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    for number in range(12):
        record = trial(space, number)
        ledger.start(record)
        for epoch, accuracy in enumerate((0.3, 0.5 + number / 100, 0.4), 1):
            ledger.report(record.trial_id, report(epoch, accuracy), is_rung=epoch in (1, 3))
        if number < len(ENDS):
            ledger.end(record, ENDS[number], "loss is NaN" if ENDS[number] is Status.FAILED else "")
    ledger.end(trial(space, 12), Status.INFEASIBLE, "too many parameters")
    yield ledger
    ledger.close()


def hparams_backend(folder: Path) -> tuple[Any, Any]:
    """TensorBoard's own answer to what the HParams page asks: the experiment and the session groups."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    asked = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[getattr(api_pb2, name) for name in ALL_STATUSES], slice_size=1000
    )
    ctx = context.RequestContext()
    groups = list_session_groups.Handler(ctx, backend, "search", asked).run()
    about = get_experiment.Handler(ctx, backend, "search", api_pb2.GetExperimentRequest()).run()
    return about, {group.name: group for group in groups.session_groups}


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    return accumulator.Reload()


def series(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 5)) for event in read(folder).Scalars(tag)]


def words(folder: Path, tag: str) -> str:
    return read(folder).Tensors(tag)[-1].tensor_proto.string_val[0].decode()


def test_every_trained_trial_is_in_the_table_with_its_status(ledger: Ledger, tmp_path: Path) -> None:
    _, groups = hparams_backend(tmp_path)
    names = {
        Status.COMPLETED: api_pb2.STATUS_SUCCESS,
        Status.STOPPED: api_pb2.STATUS_SUCCESS,
        Status.FAILED: api_pb2.STATUS_FAILURE,
        Status.INTERRUPTED: api_pb2.STATUS_UNKNOWN,
    }
    expected = {f"{number:04d}": names[status] for number, status in enumerate(ENDS)}
    expected["0011"] = api_pb2.STATUS_UNKNOWN  # what TensorBoard says of a session that has no end yet
    assert {name: group.sessions[0].status for name, group in groups.items()} == expected


def test_a_trial_is_in_the_table_before_its_first_epoch(space: Space, tmp_path: Path) -> None:
    watcher = TensorBoardWatcher(tmp_path, space, "val/accuracy")
    record = trial(space, 3)
    watcher.trial_started(record)
    _, groups = hparams_backend(tmp_path)
    assert groups["0003"].hparams["optim.learning_rate"].number_value == record.values["optim.learning_rate"]
    watcher.close()


def test_a_trial_that_nobody_ended_is_interrupted_when_the_search_is_over(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    assert metadata.SESSION_END_INFO_TAG in read(tmp_path / "0011").Tags()["tensors"]
    assert words(tmp_path / "0011", "outcome").startswith("**interrupted**")


def test_an_infeasible_trial_has_no_run_but_is_counted(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    assert not (tmp_path / "0012").exists()
    assert series(tmp_path / "search", "search/infeasible")[-1] == (12, 1.0)


def test_one_run_only_describes_the_experiment(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    runs = [f.name for f in tmp_path.iterdir() if metadata.EXPERIMENT_TAG in read(f).Tags()["tensors"]]
    assert runs == ["search"]


def test_domains_are_those_of_the_space(ledger: Ledger, space: Space, tmp_path: Path) -> None:
    about, _ = hparams_backend(tmp_path)
    infos = {info.name: info for info in about.hparam_infos}
    assert set(infos) == {".".join(path) for path in space.ranges}
    rate = infos["optim.learning_rate"]
    assert (rate.domain_interval.min_value, rate.domain_interval.max_value) == (1e-4, 1e-1)
    assert list(infos["optim.batch_size"].domain_discrete) == [32, 64]
    assert list(infos["student.mlp.widths"].domain_discrete) == ["none", "[20, 20, 20]", "[64]"]
    assert list(infos["student.convnet.depth"].domain_discrete) == ["none", "2", "3", "4"]
    assert infos["student.convnet.width"].display_name == "convnet.width"


def test_values_are_those_of_the_trial_and_absent_ones_are_none_or_missing(ledger: Ledger, tmp_path: Path) -> None:
    _, groups = hparams_backend(tmp_path)
    kinds = set()
    for name, group in groups.items():
        values = ledger.records[name].values
        kinds.add((values["student.family"], values["loss.kind"]))
        depth = str(values.get("student.convnet.depth", "none"))
        assert group.hparams["student.convnet.depth"].string_value == depth
        widths = json.dumps(values["student.mlp.widths"]) if "student.mlp.widths" in values else "none"
        assert group.hparams["student.mlp.widths"].string_value == widths
        assert ("loss.temperature" in group.hparams) == ("loss.temperature" in values)
        numbers = [value.number_value for value in group.hparams.values()]
        assert all(math.isfinite(number) for number in numbers)
    assert len(kinds) == 4, "the trials of this test are to show every combination"


def test_columns_that_every_trial_fills_come_first(ledger: Ledger, tmp_path: Path) -> None:
    about, groups = hparams_backend(tmp_path)
    visible_at_first = [info.name for info in about.hparam_infos[:5]]
    assert all(name in group.hparams for name in visible_at_first for group in groups.values())


def test_metrics_of_the_table_are_scalars_of_the_trials(ledger: Ledger, tmp_path: Path) -> None:
    about, groups = hparams_backend(tmp_path)
    assert about.metric_infos[0].name.tag == "val/accuracy"
    shown = {value.name.tag: value.value for value in groups["0002"].metric_values}
    assert shown["val/accuracy"] == pytest.approx(0.4)
    assert shown["best/val/accuracy"] == pytest.approx(0.52)
    assert (shown["trial/epochs"], shown["trial/parameters"]) == (3, 1002)


def test_scalars_are_the_reports_without_epoch_and_times(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    assert series(tmp_path / "0000", "val/accuracy") == [(1, 0.3), (2, 0.5), (3, 0.4)]
    assert series(tmp_path / "0000", "best/val/accuracy") == [(1, 0.3), (2, 0.5), (3, 0.5)]
    tags = set(read(tmp_path / "0000").Tags()["scalars"])
    assert tags == {
        "val/accuracy",
        "best/val/accuracy",
        "train/loss",
        "trial/epochs",
        "trial/parameters",
        "trial/multiply_adds",
    }


def test_the_best_loss_is_the_smallest(space: Space, tmp_path: Path) -> None:
    ledger = Ledger("val/loss", [TensorBoardWatcher(tmp_path, space, "val/loss")])
    record = trial(space, 0)
    ledger.start(record)
    for epoch, loss in enumerate((2.0, 1.0, 1.5), 1):
        ledger.report("0000", {"epoch": epoch, "val/loss": loss})
    ledger.close()
    assert series(tmp_path / "0000", "best/val/loss") == [(1, 2.0), (2, 1.0), (3, 1.0)]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e300])
def test_what_cannot_be_drawn_is_left_out(space: Space, tmp_path: Path, number: float) -> None:
    ledger = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    record = trial(space, 0)
    ledger.start(record)
    ledger.report("0000", report(1, 0.5))
    ledger.report("0000", {"epoch": 2, "val/accuracy": number, "train/loss": number, "gap/accuracy": 0.1})
    ledger.end(record, Status.FAILED, "diverged")
    ledger.close()
    assert [step for step, _ in series(tmp_path / "0000", "train/loss")] == [1]
    assert series(tmp_path / "0000", "gap/accuracy") == [(2, 0.1)]


def test_a_reader_sees_a_report_of_a_trial_that_still_runs(space: Space, tmp_path: Path) -> None:
    watcher = TensorBoardWatcher(tmp_path, space, "val/accuracy")
    record = trial(space, 0)
    record.reports = [report(1, 0.5)]
    watcher.trial_started(record)
    assert series(tmp_path / "0000", "val/accuracy") == [(1, 0.5)]
    watcher.close()


def test_a_trial_that_is_begun_again_leaves_one_story(space: Space, tmp_path: Path) -> None:
    record = trial(space, 0)
    first = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    first.start(record)
    first.report("0000", report(1, 0.5))
    first.end(record, Status.INTERRUPTED)
    first.close()
    again = Ledger(watchers=[TensorBoardWatcher(tmp_path, space, "val/accuracy")])
    record.status = Status.RUNNING
    again.start(record)
    again.report("0000", report(2, 0.6))
    again.end(record, Status.COMPLETED)
    again.close()
    assert series(tmp_path / "0000", "val/accuracy") == [(1, 0.5), (2, 0.6)]
    _, groups = hparams_backend(tmp_path)
    assert groups["0000"].sessions[0].status == api_pb2.STATUS_SUCCESS


def test_seeds_of_one_configuration_are_sessions_of_one_group(ledger: Ledger, space: Space, tmp_path: Path) -> None:
    for seed in range(3):
        record = trial(space, 1, group="confirm-trial-0001")
        record.trial_id = f"confirm-trial-0001-seed{seed}"
        ledger.start(record)
        ledger.report(record.trial_id, report(1, 0.99))
        ledger.end(record, Status.COMPLETED)
    ledger.close()
    _, groups = hparams_backend(tmp_path)
    assert len(groups["confirm-trial-0001"].sessions) == 3
    assert max(value for _, value in series(tmp_path / "search", "search/best")) < 0.99
    assert series(tmp_path / "search", "search/completed")[-1][1] == 3


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


def test_a_column_is_optional_where_a_choice_or_a_weight_together_with_it_takes_it_away() -> None:
    """No temperature with `hint` as the kind and without `dkd`; a weight between 0 and 1 is never exactly 0."""
    loss: dict[str, Any] = {"kind": ["hint", "soft_targets"], "temperature": {"log": [1.0, 4.0]}}
    loss["also"] = {"dkd": {"choice": [1.0, 0.0]}, "vid": {"uniform": [0.0, 1.0]}, "hint": {"log": [0.1, 1.0]}}
    loss["vid"] = {"scale": {"log": [0.1, 1.0]}}
    columns = columns_of(Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}, "loss": loss}))
    assert {c.name for c in columns if c.optional} == {"loss.temperature", "loss.also.hint"}


def test_further_terms_of_the_loss_are_charted_with_the_others(tmp_path: Path) -> None:
    tables = {"data": {"source": "digits"}, "student": {"family": "mlp"}}
    space = Space.parse({**tables, "loss": {"also": {"hint": {"log": [0.1, 1.0]}, "sp": 0.0}}})
    Ledger("val/accuracy", [TensorBoardWatcher(tmp_path, space, "val/accuracy")]).close()
    event = read(tmp_path / "search").Tensors("custom_scalars__config__")[0]
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    lines = [list(chart.multiline.tag) for category in layout.category for chart in category.chart]
    assert ["^train/hard_loss$", "^train/soft_loss$", "^train/hint_loss$"] in lines


def test_only_running_trials_hold_a_file_open(ledger: Ledger, tmp_path: Path) -> None:
    files = (Path(file.path) for file in psutil.Process().open_files())
    open_folders = {file.parent.name for file in files if tmp_path in file.parents}
    assert open_folders == {"search", "0011"}


def test_a_space_with_five_conditional_columns_shows_those_with_words_first(tmp_path: Path) -> None:
    tables = {**TABLES, "loss": {}, "optim": {}, "augmentation": {}}
    watcher = TensorBoardWatcher(tmp_path, Space.parse(tables), "val/accuracy")
    about, _ = hparams_backend(tmp_path)
    assert all(info.differs for info in about.hparam_infos)
    watcher.close()


def test_trials_of_a_search_beside_another_have_rows_of_their_own(space: Space, tmp_path: Path) -> None:
    accuracies = {"": 0.9, "baseline": 0.5}
    for folder, accuracy in accuracies.items():
        watcher = TensorBoardWatcher(tmp_path / folder, space, "val/accuracy", is_beside=bool(folder))
        ledger = Ledger(watchers=[watcher])
        ledger.start(first := trial(space, 0))
        ledger.report(first.trial_id, {"epoch": 1, "val/accuracy": accuracy})
        ledger.end(first, Status.COMPLETED)
        ledger.close()
    _, groups = hparams_backend(tmp_path)
    shown = {
        name: [m.value for m in group.metric_values if m.name.tag == "val/accuracy"] for name, group in groups.items()
    }
    assert shown == {"0000": [pytest.approx(0.9)], "baseline/0000": [pytest.approx(0.5)]}


def test_nothing_of_tensorflow_or_torch_is_imported() -> None:
    script = (
        "import sys, distill_tune.tuning.showing.tensorboard; print({'tensorflow', 'torch', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_a_real_tensorboard_serves_the_table(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(tmp_path),
        "--port",
        "0",
        "--host",
        "127.0.0.1",
    ]
    log = tmp_path.parent / f"{tmp_path.name}.log"
    with log.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr) as server:
        try:
            groups = ask_for_groups(server, log, count=12)
        finally:
            server.terminate()
    by_name = {group["name"]: group for group in groups}
    assert by_name["0000"]["sessions"][0]["status"] == "STATUS_SUCCESS"
    assert by_name["0007"]["sessions"][0]["status"] == "STATUS_FAILURE"
    assert {group["hparams"]["student.family"] for group in groups} == {"mlp", "convnet"}


def ask_for_groups(server: "subprocess.Popen[bytes]", log: Path, count: int) -> list[dict[str, Any]]:
    """The session groups over HTTP, once TensorBoard has read them all."""
    body = json.dumps(
        {"experimentName": "", "allowedStatuses": ALL_STATUSES, "colParams": [], "startIndex": 0, "sliceSize": 99}
    )
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        time.sleep(0.2)  # between two looks; nothing is assumed to be done by then
        address = next((word for word in log.read_text().split() if word.startswith("http://127.0.0.1")), None)
        if address is None:
            continue
        request = urllib.request.Request(
            f"{address}data/plugin/hparams/session_groups", body.encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                groups: list[dict[str, Any]] = json.load(answer).get("sessionGroups", [])
        except urllib.error.URLError:
            continue
        if len(groups) >= count and all(group["sessions"][0].get("metricValues") for group in groups):
            return groups
    raise AssertionError(f"TensorBoard did not serve {count} trials: {log.read_text()}")


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
