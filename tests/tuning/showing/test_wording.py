"""Headings, and settings, durations and rates in words."""

import pytest
from watched_trials import console, said

from distill_tune.tuning.showing.display import Reporter
from distill_tune.tuning.showing.wording import counted, duration, milliseconds, rate, settings, short_names


def test_a_heading_says_what_begins() -> None:
    plain = console(terminal=False)
    Reporter(plain).say("Teacher", "resnet, from cache")
    assert said(plain) == "Teacher  resnet, from cache\n"


def test_one_who_wants_only_the_result_is_warned_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    plain = console(terminal=False)
    Reporter(plain, quiet=True).tell("4 places", "warning: most were refused")
    assert (said(plain), capsys.readouterr().err) == ("", "warning: most were refused\n")


def test_short_names_stay_distinct_and_clear() -> None:
    names = ["loss.kind", "optim.kind", "loss.temperature", "student.mlp.width", "a.depth", "b.depth"]
    short = short_names(names)
    assert short["loss.temperature"] == "temperature"
    assert short["student.mlp.width"] == "mlp.width"
    assert len(set(short.values())) == len(names)
    assert short_names(["loss.kind"]) == {"loss.kind": "loss.kind"}


def test_settings_are_written_as_a_person_would() -> None:
    values = {"optim.learning_rate": 0.0031234, "loss.temperature": 4.0, "student.mlp.widths": [20, 20], "x.norm": True}
    assert settings(values) == "learning_rate 0.00312, temperature 4, mlp.widths 20-20, norm true"


@pytest.mark.parametrize(("number", "words"), [(0, "0 epochs"), (1, "1 epoch"), (1200, "1,200 epochs")])
def test_of_one_there_is_one(number: int, words: str) -> None:
    assert counted(number, "epoch") == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1:00 min"), (3599, "59:59 min"), (7500, "2:05 h"), (-1, "0 s")],
)
def test_a_duration_is_said_in_the_unit_that_suits_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("per_hour", "words"), [(0.5, "0.5 trials/h"), (48.6, "48.6 trials/h"), (1234.5, "1,234 trials/h")]
)
def test_a_rate_is_said_to_three_digits(per_hour: float, words: str) -> None:
    assert rate(per_hour) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "-"),
        (0.02949, "0.029"),
        (9.9994, "9.999"),
        (9.9996, "10.0"),
        (999.94, "999.9"),
        (999.96, "1,000"),
        (1000, "1,000"),
        (9999.4, "9,999"),
    ],
)
def test_a_latency_takes_no_more_than_five_characters(value: float | None, words: str) -> None:
    assert milliseconds(value) == words
