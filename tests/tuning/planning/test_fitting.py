"""What is settled before a search: limits, precision, and what the time can pay for."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
import torch
from fitted_spaces import fitted, space_with
from pydantic import model_validator
from torch import nn

from distill_tune.config import load_space
from distill_tune.config.leaves import FAMILY
from distill_tune.config.sections import DataConfig
from distill_tune.data import prepare_data
from distill_tune.distillation.training.pace import Pace
from distill_tune.errors import ConfigError
from distill_tune.export.result_folder import SEARCH_TOML, write_search_toml
from distill_tune.students import Student
from distill_tune.tuning.planning import fitting
from distill_tune.tuning.planning.fitting import known_to_fit
from distill_tune.tuning.planning.limits import NO_EXCESS, Limits
from distill_tune.tuning.planning.smallest import smallest_student
from distill_tune.tuning.planning.time_budget import affordable_epochs
from distill_tune.tuning.state.records import TrialRecord


def picky(input_shape: tuple[int, ...], classes: int, width: int, heads: int) -> nn.Module:
    """A custom network that cannot be built at some corners, including the smallest."""
    if width % heads:
        raise ValueError(f"{heads} heads cannot share a width of {width}")
    return nn.Sequential(nn.Linear(*input_shape, width), nn.ReLU(), nn.Linear(width, classes))


def test_the_precision_is_settled_and_recorded_but_only_where_it_was_left_open(preparation: Any) -> None:
    found, _ = fitted(preparation)
    assert found.space.config.optim.precision in ("float32", "bfloat16")
    for asked in ("bfloat16", {"choice": ["auto", "float32"]}):
        kept, _ = fitted(preparation, optim={"precision": asked})
        assert kept.space == space_with(optim={"precision": asked})


def test_each_family_trains_at_the_pace_that_is_fastest_for_it(
    preparation: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paces = {"mlp": Pace("float32", "contiguous"), "resnet": Pace("bfloat16", "channels_last")}
    monkeypatch.setattr(fitting, "chosen_paces", lambda space, dataset: paces)
    found, _ = fitted(preparation, student={"family": ["mlp", "resnet"]})
    write_search_toml(tmp_path, found.space, "command")
    for space in (found.space, load_space(tmp_path / SEARCH_TOML, [])):  # as it is, and as it is resumed
        for family, pace in paces.items():
            optim = space.at(space.middle(chosen={FAMILY: family})).optim
            assert (optim.precision, optim.memory_format, optim.paces) == (*pace, None)
    monkeypatch.setattr(fitting, "chosen_paces", lambda space, dataset: dict.fromkeys(paces, paces["resnet"]))
    alike, _ = fitted(preparation, student={"family": ["mlp", "resnet"]})
    optim = alike.space.config.optim
    assert (optim.precision, optim.memory_format, optim.paces) == ("bfloat16", "channels_last", None)
    own = {"paces": {"mlp": {"precision": "float32"}}}
    partly, _ = fitted(preparation, student={"family": ["mlp", "resnet"]}, optim=own)
    optim = partly.space.at(partly.space.middle(chosen={FAMILY: "mlp"})).optim
    assert (optim.precision, optim.memory_format) == ("float32", "channels_last"), "what is left open is measured"


@pytest.mark.parametrize("batch_size", [1, {"choice": [1, 32]}])
def test_a_student_that_cannot_be_trained_on_one_sample_is_refused_and_not_timed(
    preparation: Any, batch_size: Any
) -> None:
    with pytest.raises(
        ConfigError, match=r"^optim.batch_size: student 'resnet' cannot be trained on one sample a step"
    ):
        fitted(preparation, student={"family": "resnet"}, optim={"batch_size": batch_size})


def test_a_pace_is_one_value_and_no_range() -> None:
    with pytest.raises(ConfigError, match=r"^optim\.paces\.mlp\.precision: must be 'float32' or 'bfloat16', but got "):
        space_with(optim={"paces": {"mlp": {"precision": {"choice": ["float32", "bfloat16"]}}}})


@pytest.mark.parametrize(
    ("data", "cure"), [({}, "raise data.validation, use data.folds, or search by"), ({"folds": 3}, "search by")]
)
def test_the_worst_of_classes_of_few_samples_is_said_to_be_chance_if_it_is_an_objective(
    preparation: Any, tmp_path: Path, data: dict[str, Any], cure: str
) -> None:
    worst = {"search": {"objectives": ["val/loss", "val/worst_class_accuracy"]}}
    assert fitted(preparation, **worst)[1] == []
    frame = pd.DataFrame({"x": np.arange(173.0), "kind": ["rare"] * 9 + ["odd"] * 14 + ["yes", "no"] * 75})
    frame.to_csv(tmp_path / "data.csv", index=False)
    read = {"source": "csv", "path": str(tmp_path / "data.csv"), **data}
    small = SimpleNamespace(dataset=prepare_data(DataConfig(**read), tmp_path))
    few = "'rare' (7)" if data else "'odd' (2), 'rare' (2)"
    assert fitted(small, **worst)[1] == [
        "warning: search.objectives: 'val/worst_class_accuracy' goes by chance where a class has few samples to "
        f"validate: {few}; {cure} 'val/accuracy' or 'val/loss'"
    ]
    assert fitted(small)[1] == []


LEAST = "10m pay for 3 epochs a training at most, the fewest that can be compared, not 81; the search may take longer"


@pytest.mark.parametrize(
    ("epoch_s", "epochs", "line"), [(10.0, 6, "10m pay for 6 epochs a training, not 81"), (1e3, 3, LEAST)]
)
def test_time_that_cannot_pay_for_the_full_budget_lowers_it_and_says_so(
    preparation: Any, monkeypatch: pytest.MonkeyPatch, epoch_s: float, epochs: int, line: str
) -> None:
    monkeypatch.setattr(fitting, "estimated_epoch_s", lambda space, dataset: epoch_s)
    found, said = fitted(preparation, search={"max_epochs": 81, "time": "10m"})
    assert found.space.config.search.max_epochs == epochs
    assert said == [line]


def test_time_is_not_shortened_by_what_a_processor_takes_where_trials_have_gpus(preparation: Any) -> None:
    """If a GPU is here, an epoch is timed on it."""
    gpus = {"resources": {"gpus_per_worker": 1}, "search": {"max_epochs": 81, "time": "1s"}}
    found, said = fitted(preparation, **gpus)
    has_one = torch.cuda.is_available()
    assert (found.space.config.search.max_epochs == 81) is (not has_one)
    assert bool(said) is has_one


def test_ranges_and_everything_else_stay_as_they_were(preparation: Any) -> None:
    space = space_with()
    found, _ = fitted(preparation)
    assert found.space.ranges == space.ranges
    assert found.space.config.model_copy(update={"optim": space.config.optim}) == space.config


@pytest.mark.parametrize("ranges", [{}, {"activation": {"choice": ["relu", "gelu"]}}])
def test_a_cost_that_no_range_changes_is_no_objective(preparation: Any, ranges: dict[str, Any]) -> None:
    student = {"mlp": {"widths": [8], **ranges}}
    objectives = {"objectives": ["val/accuracy", "multiply_adds"]}
    with pytest.raises(ConfigError, match=r"search\.objectives: 'multiply_adds' is the same for every student"):
        fitted(preparation, student=student, search=objectives)
    fitted(preparation, student=student, search={"objectives": ["val/accuracy", "val/loss"]})
    fitted(preparation, search=objectives)


def test_a_latency_that_is_known_is_not_measured_again(preparation: Any) -> None:
    space = space_with()
    limits, config = Limits(space.config.limits, preparation.dataset), space.config
    limits.know_latencies(space, [TrialRecord(0, "0000", {}, latency_ms=12.5)])
    assert limits.latency_ms(config) == 12.5


@pytest.mark.parametrize(
    ("looks_ms", "limit_ms", "found_ms"),
    [((9.0, 8.0, 3.0), 5.0, 3.0), ((9.0, 8.0, 7.0, 1.0), 5.0, 7.0), ((4.0, 1.0), 5.0, 4.0), ((9.0, 1.0), None, 9.0)],
)
def test_a_student_that_seems_too_slow_is_timed_more_often(
    preparation: Any,
    monkeypatch: pytest.MonkeyPatch,
    looks_ms: tuple[float, ...],
    limit_ms: float | None,
    found_ms: float,
) -> None:
    """While trials train, a student seems slower than it is."""
    looks = iter(looks_ms)
    monkeypatch.setattr(Limits, "_measure_latency_ms", lambda limits, key: next(looks))
    space = space_with(limits={} if limit_ms is None else {"max_latency_ms": limit_ms})
    limits = Limits(space.config.limits, preparation.dataset)
    assert [limits.latency_ms(space.config) for _ in range(2)] == [found_ms, found_ms]
    assert (limits.excess(space.config) == NO_EXCESS) == (limit_ms is None or found_ms <= limit_ms)


@pytest.mark.parametrize(("total_s", "epochs"), [(1e9, 27), (60.0, 6), (1.0, 3)])
def test_affordable_epochs_are_between_the_first_comparison_and_what_was_asked(total_s: float, epochs: int) -> None:
    space = space_with(search={"max_epochs": 27})
    assert affordable_epochs(space.config, epoch_s=1.0, total_s=total_s, places=2) == epochs


def test_limits_count_cost_once_an_architecture(preparation: Any) -> None:
    space = space_with(limits={"max_parameters": 150})
    limits = Limits(space.config.limits, preparation.dataset)
    small, large = (space.at({"student.mlp.widths": widths}) for widths in ([8], [16]))
    assert limits.cost(small).parameters == 8 * 8 + 8 + 8 * 4 + 4
    assert limits.excess(small) == NO_EXCESS
    excess = limits.excess(large)
    assert excess.share == pytest.approx((8 * 16 + 16 + 16 * 4 + 4) / 150 - 1)
    assert (excess.limit, excess.why) == ("max_parameters", "over max_parameters 150 (212)")


def test_a_limit_that_is_hardly_broken_is_told_to_the_last_digit(preparation: Any) -> None:
    student = {"family": "mlp", "mlp": {"widths": [1_000, 1_300]}}
    space = space_with(limits={"max_parameters": 1_315_503}, student=student)
    limits = Limits(space.config.limits, preparation.dataset)
    assert limits.excess(space.config).why == "over max_parameters 1,315,503 (1,315,504)"


@pytest.mark.parametrize(("took_ms", "told"), [(0.389075, "0.389 ms"), (0.3000042, "0.300004 ms"), (12.5, "12.5 ms")])
def test_a_student_that_is_too_slow_is_told_of_in_milliseconds_and_few_digits(
    preparation: Any, took_ms: float, told: str
) -> None:
    space = space_with(limits={"max_latency_ms": 0.3})
    limits = Limits(space.config.limits, preparation.dataset)
    record = TrialRecord(0, "0000", {"student.mlp.widths": [8]}, latency_ms=took_ms)
    limits.know_latencies(space, [record])
    assert limits.excess(space.at(record.values)).why == f"over max_latency_ms 0.3 ({told})"


@pytest.mark.parametrize(
    ("limit_ms", "took_ms", "told"),
    [
        (0.3, 999.4, "999 ms"),
        (0.3, 999.7, "1,000 ms"),
        (0.3, 1234.0, "1,234 ms"),
        (1234.0, 1234.4, "1,234.40 ms"),
        (0.3, 61_234.5, "61,234 ms"),
    ],
)
def test_a_student_that_takes_a_second_or_more_is_told_of_without_an_exponent(
    preparation: Any, limit_ms: float, took_ms: float, told: str
) -> None:
    space = space_with(limits={"max_latency_ms": limit_ms})
    limits = Limits(space.config.limits, preparation.dataset)
    record = TrialRecord(0, "0000", {"student.mlp.widths": [8]}, latency_ms=took_ms)
    limits.know_latencies(space, [record])
    assert limits.excess(space.at(record.values)).why.endswith(f" ({told})")


def test_the_smallest_student_of_the_space_decides_whether_limits_can_be_met(preparation: Any) -> None:
    space = space_with()
    for most, refused in ((108, False), (107, True)):
        limits = Limits(space.config.limits.model_copy(update={"max_parameters": most}), preparation.dataset)
        if refused:
            with pytest.raises(ConfigError, match="108 parameters"):
                smallest_student(space, limits)
        else:
            smallest_student(space, limits)


class Strict(Student):
    """A custom family that checks itself which of its options go together."""

    width: int = 4
    heads: int = 1

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads must divide width ({self.width}), but got {self.heads}.")
        return self

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return picky(input_shape, classes, self.width, self.heads)


@pytest.mark.parametrize(
    ("name", "widths", "heads"),
    [
        ("test_fitting:picky", [4, 9, 16], [3, 2, 1]),
        ("test_fitting:picky", [4, 9, 16], [2, 3]),
        ("test_fitting:picky", [4, 9, 16], [3]),
        ("test_fitting:Strict", [12, 4, 9], [1, 3]),
    ],
)
def test_corners_that_a_users_own_network_does_not_have_are_passed_over(
    preparation: Any, name: str, widths: list[int], heads: list[int]
) -> None:
    ranges = {"width": {"choice": widths}, "heads": {"choice": heads}}
    found, _ = fitted(preparation, student={"family": name, name: ranges}, search={"time": "1h"})
    values = {name.rpartition(".")[2]: value for name, value in found.smallest.items()}
    assert values["width"] % values["heads"] == 0
    assert found.limits.excess(found.space.at(found.smallest)) is NO_EXCESS


def test_a_space_of_which_no_student_can_be_built_is_refused_with_the_networks_own_words(preparation: Any) -> None:
    name = "test_fitting:picky"
    with pytest.raises(ConfigError, match="5 heads cannot share a width of 4"):
        fitted(preparation, student={"family": name, name: {"width": {"choice": [4, 8]}, "heads": 5}})


def test_latency_is_a_limit_too(preparation: Any) -> None:
    space = space_with()
    limits = Limits(space.config.limits.model_copy(update={"max_latency_ms": 1e-6}), preparation.dataset)
    with pytest.raises(ConfigError, match="limits: no student"):
        smallest_student(space, limits)


@pytest.mark.parametrize("latency_ms", [0.5, None])
def test_a_search_that_goes_on_where_everything_is_slower_now_knows_what_was_fast_enough(
    preparation: Any, monkeypatch: pytest.MonkeyPatch, latency_ms: float | None
) -> None:
    """No latency is known if the search began before latencies were recorded."""
    monkeypatch.setattr("distill_tune.tuning.planning.limits.latency_ms", lambda *arguments: 5.0)
    space = space_with(limits={"max_latency_ms": 1})
    values = {"student.mlp.widths": [12], "optim.learning_rate": 0.01}
    trained = TrialRecord(0, "0000", values, latency_ms=latency_ms, reports=[{"epoch": 1}])
    with pytest.raises(ConfigError, match="limits: no student"):
        known_to_fit(space, preparation.dataset, [replace(trained, reports=[], latency_ms=None)])
    found = known_to_fit(space, preparation.dataset, [trained])
    assert found.smallest == {"student.mlp.widths": [12]}
    assert (found.limits.excess(space.at(values)) is NO_EXCESS) is (latency_ms is not None)
    assert found.without_teacher().smallest == found.smallest
    with pytest.raises(ConfigError, match="max_parameters"):
        known_to_fit(space_with(limits={"max_parameters": 50}), preparation.dataset, [trained])


def test_a_search_that_goes_on_needs_no_more_of_those_that_it_started_from(preparation: Any) -> None:
    gone = {"start_from": ["/results/gone"]}
    with pytest.raises(ConfigError, match=r"search\.start_from: /results/gone holds no study\.journal"):
        fitted(preparation, search=gone)
    known_to_fit(space_with(search=gone), preparation.dataset)
