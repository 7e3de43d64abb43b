"""TensorBoard's table of trials, as its own HParams backend reads it: rows, columns, domains and metrics."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from shown_trials import ENDS, TABLES, hparams_backend, report, series, trial
from tensorboard.plugins.hparams import api_pb2

from distill_tune.config.space import Space
from distill_tune.tuning.showing.hparams import columns_of
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status


def test_every_trained_trial_is_in_the_table_with_its_status(ledger: Ledger, tmp_path: Path) -> None:
    _, groups = hparams_backend(tmp_path)
    names = {
        Status.COMPLETED: api_pb2.STATUS_SUCCESS,
        Status.STOPPED: api_pb2.STATUS_SUCCESS,
        Status.FAILED: api_pb2.STATUS_FAILURE,
        Status.INTERRUPTED: api_pb2.STATUS_UNKNOWN,
    }
    expected = {f"{number:04d}": names[status] for number, status in enumerate(ENDS)}
    expected["0011"] = api_pb2.STATUS_UNKNOWN  # TensorBoard's status of a session without an end
    assert {name: group.sessions[0].status for name, group in groups.items()} == expected


def test_a_trial_is_in_the_table_before_its_first_epoch(space: Space, tmp_path: Path) -> None:
    watcher = TensorBoardWatcher(tmp_path, space, "val/accuracy")
    record = trial(space, 3)
    watcher.trial_started(record)
    _, groups = hparams_backend(tmp_path)
    assert groups["0003"].hparams["optim.learning_rate"].number_value == record.values["optim.learning_rate"]
    watcher.close()


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


def test_the_order_in_which_weights_are_written_does_not_hide_the_trial_without_further_terms() -> None:
    also = {"soft_targets": {"choice": [0, 0.5]}, "dkd": {"choice": [0.5, 0]}}
    loss = {"kind": ["labels", "rkd"], "temperature": {"log": [1.0, 8.0]}, "soft_weight": 0.5, "also": also}
    columns = columns_of(Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}, "loss": loss}))
    assert [c.name for c in columns if c.optional] == ["loss.temperature"]


def test_a_column_is_optional_where_a_choice_or_a_weight_together_with_it_takes_it_away() -> None:
    """`hint` as the kind without `dkd` has no temperature; a weight between 0 and 1 is never exactly 0."""
    loss: dict[str, Any] = {"kind": ["hint", "soft_targets"], "temperature": {"log": [1.0, 4.0]}}
    loss["also"] = {"dkd": {"choice": [1.0, 0.0]}, "vid": {"uniform": [0.0, 1.0]}, "hint": {"log": [0.1, 1.0]}}
    loss["vid"] = {"scale": {"log": [0.1, 1.0]}}
    columns = columns_of(Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}, "loss": loss}))
    assert {c.name for c in columns if c.optional} == {"loss.temperature", "loss.also.hint"}


def test_a_range_that_no_trial_has_is_no_column() -> None:
    loss = {"kind": "labels", "temperature": {"log": [1.0, 4.0]}, "dkd": {"target_weight": {"log": [1.0, 8.0]}}}
    tables = {"data": {"source": "digits"}, "student": {"family": "mlp"}, "loss": loss}
    space = Space.parse({**tables, "optim": {"learning_rate": {"log": [0.01, 0.1]}}})
    assert [column.name for column in columns_of(space)] == ["optim.learning_rate"]


def test_a_space_with_five_conditional_columns_shows_those_with_words_first(tmp_path: Path) -> None:
    tables = {**TABLES, "loss": {}, "optim": {}, "augmentation": {}}
    watcher = TensorBoardWatcher(tmp_path, Space.parse(tables), "val/accuracy")
    about, _ = hparams_backend(tmp_path)
    assert all(info.differs for info in about.hparam_infos)
    watcher.close()


def test_trials_of_a_search_beside_another_have_rows_of_their_own(space: Space, tmp_path: Path) -> None:
    accuracies = {"": 0.9, "baseline": 0.5}
    for folder, accuracy in accuracies.items():
        watcher = TensorBoardWatcher(tmp_path / folder, space, "val/accuracy", is_baseline=bool(folder))
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


def test_a_long_row_of_numbers_to_choose_from_is_not_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [place / 1000 for place in range(1, 301)]
    space = Space.parse(TABLES | {"optim": {"learning_rate": {"choice": rates}}})
    asked, suggest = [], Space.suggest

    def counted(space: Space, trial: Any) -> Any:
        asked.append(trial)
        return suggest(space, trial)

    monkeypatch.setattr(Space, "suggest", counted)  # each costs some milliseconds before the first trial
    optional = {column.name for column in columns_of(space) if column.optional}
    assert "student.convnet.depth" in optional
    assert "optim.learning_rate" not in optional
    assert len(asked) < 10
