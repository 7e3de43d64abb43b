"""What people read while a search runs: the live panel, the plain lines and the headings."""

import io
import math
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from distill_tune.config.searching import SearchConfig
from distill_tune.tuning.schedulers.asha import Asha
from distill_tune.tuning.schedulers.hyperband import Hyperband
from distill_tune.tuning.showing.display import Reporter, RungView, panel, rung_views
from distill_tune.tuning.showing.progress import ProgressWatcher
from distill_tune.tuning.showing.tally import Tally
from distill_tune.tuning.showing.wording import duration, rate, settings, short_names
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def console(terminal: bool, width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def said(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def trial(number: int, **others: Any) -> TrialRecord:
    values = {"student.family": "mlp", "student.mlp.widths": [20, 20, 20], "loss.temperature": 3.21}
    return TrialRecord(number, f"{number:04d}", values, parameters=8450, **others)


def run(ledger: Ledger, record: TrialRecord, accuracies: list[float], status: Status | None, message: str = "") -> None:
    ledger.start(record)
    for epoch, accuracy in enumerate(accuracies, 1):
        ledger.report(record.trial_id, {"epoch": epoch, "val/accuracy": accuracy}, is_rung=epoch in (1, 3))
    if status is not None:
        ledger.end(record, status, message)


def watched(on: Console, clock: Clock, total: int = 64, **others: Any) -> tuple[Ledger, ProgressWatcher]:
    watcher = ProgressWatcher(on, "val/accuracy", total, clock=clock, **others)
    return Ledger(watchers=[watcher]), watcher


def lines(on: Console) -> list[str]:
    return said(on).splitlines()


# Plain lines


def test_a_plain_line_says_how_a_trial_ended_and_where_the_search_stands() -> None:
    clock, plain = Clock(), console(terminal=False)
    ledger, _ = watched(plain, clock)
    run(ledger, trial(3), [0.9, 0.951], None)
    clock.now_s += 30
    run(ledger, trial(7), [0.5, 0.6, 0.912], Status.STOPPED)
    assert lines(plain)[-1] == (
        "trial 0007 stopped at epoch 3: val/accuracy 0.9120 (best 0.9120 by 0007: family mlp, mlp.widths 20-20-20, "
        "temperature 3.21), 1 of 64 tried, 120 trials/h"
    )


def test_a_plain_line_says_why_a_trial_failed() -> None:
    plain = console(terminal=False)
    ledger, _ = watched(plain, Clock())
    run(ledger, trial(0), [], Status.FAILED, "loss is [nan] at step 12")
    assert lines(plain) == ["trial 0000 failed: loss is [nan] at step 12, 1 of 64 tried"]


def test_a_new_leader_is_said_once_with_its_settings() -> None:
    clock, plain = Clock(), console(terminal=False)
    ledger, _ = watched(plain, clock)
    ledger.start(trial(0))
    for epoch in range(1, 6):
        clock.now_s += 5
        ledger.report("0000", {"epoch": epoch, "val/accuracy": epoch / 10})
    assert len(lines(plain)) == 1
    assert "trial 0000 leads at epoch 1 with family mlp, mlp.widths 20-20-20, temperature 3.21" in lines(plain)[0]


def test_quick_trials_are_summed_up_in_about_a_line_a_second() -> None:
    clock, plain = Clock(), console(terminal=False)
    ledger, watcher = watched(plain, clock, total=100)
    for number in range(100):
        clock.now_s += 0.1
        run(ledger, trial(number), [0.5], Status.STOPPED if number % 2 else Status.COMPLETED)
    watcher.close()
    assert len(lines(plain)) <= 12
    counted = sum(int(n) for n in re.findall(r"^(\d+) trials: ", said(plain), re.MULTILINE))
    singles = len(re.findall(r"^trial \d+ (?:stopped|completed)", said(plain), re.MULTILINE))
    assert counted + singles == 100
    assert "100 of 100 tried" in lines(plain)[-1]


def test_a_trial_that_paused_and_ended_between_two_lines_is_counted_once() -> None:
    clock, plain = Clock(), console(terminal=False)
    ledger, watcher = watched(plain, clock)
    run(ledger, trial(0), [0.9], Status.COMPLETED)
    records = [trial(1), trial(2)]
    for record in records:
        run(ledger, record, [0.5], None)
        ledger.pause(record)
    ledger.end(records[0], Status.STOPPED)
    watcher.close()
    assert lines(plain)[-1].startswith("3 trials: 1 completed, 1 stopped, 1 paused (best")


def test_lines_in_a_pipe_are_not_wrapped_and_have_no_control_characters() -> None:
    plain = console(terminal=False, width=40)
    ledger, _ = watched(plain, Clock())
    run(ledger, trial(0), [0.5, 0.6], Status.COMPLETED)
    assert "\x1b" not in said(plain)
    assert len(lines(plain)) == 1
    assert len(lines(plain)[0]) > 40


def test_a_trial_without_a_finite_value_leads_nothing() -> None:
    plain = console(terminal=False)
    ledger, watcher = watched(plain, Clock())
    run(ledger, trial(0), [math.nan], Status.FAILED, "diverged")
    watcher.close()
    assert "best" not in said(plain)


# The panel


def drawn(tally: Tally, total: int = 64, left_s: float | None = None, rungs: Any = (), width: int = 80) -> str:
    wide = console(terminal=True, width=width)
    wide.print(panel("Searching", tally, total, left_s, rungs))
    return said(wide)


def busy_tally(clock: Clock) -> Tally:
    tally = Tally("val/accuracy", clock=clock)
    ledger = Ledger(watchers=[tally])
    ends = [Status.COMPLETED, Status.STOPPED, Status.STOPPED, Status.FAILED, Status.INTERRUPTED, None, None]
    for number, status in enumerate(ends):
        run(ledger, trial(number), [0.1, 0.2, 0.5 + number / 100], status)
    ledger.end(trial(9), Status.INFEASIBLE)
    clock.now_s += 60
    return tally


def test_the_panel_counts_every_status() -> None:
    text = drawn(busy_tally(Clock()))
    for words in ("2 running", "1 completed", "2 stopped", "1 failed", "1 infeasible", "1 interrupted", "5 of 64"):
        assert words in text


def test_the_panel_names_the_best_trial_with_its_settings_and_the_speed() -> None:
    text = drawn(busy_tally(Clock()), left_s=260)
    assert "best val/accuracy 0.5400  trial 0004, 3 epochs, 8,450 parameters" in text
    assert "with family mlp, mlp.widths 20-20-20, temperature 3.21" in text
    assert "300 trials/h" in text
    assert "~4:20 min left" in text


def test_the_panel_shows_each_rung_with_its_count_and_cutoff() -> None:
    text = drawn(busy_tally(Clock()), rungs=[RungView(1, 24, None), RungView(3, 9, 0.9123)])
    assert "reached epoch 1: 24 · 3: 9 (≥ 0.912)" in text


@pytest.mark.parametrize("width", [50, 80, 120])
def test_the_panel_stays_five_lines_within_the_width(width: int) -> None:
    rungs = [RungView(3**power, 100, 0.5) for power in range(6)]
    text = drawn(busy_tally(Clock()), left_s=4000, rungs=rungs, width=width)
    assert len(text.splitlines()) == 5
    assert max(map(len, text.splitlines())) <= width


def test_the_rungs_of_several_brackets_are_one_where_their_epochs_are() -> None:
    judge = Hyperband().judge(SearchConfig(max_epochs=27, min_epochs=1, reduction_factor=3))
    for number in range(60):
        for epochs in (1, 3, 9):
            judge.goes_on(f"{number:04d}", epochs, number / 60)
    assert [rung.epochs for rung in judge.rungs] == [1, 3, 9, 3, 9, 9]
    first, *others = rung_views(judge.rungs, sign=1)
    assert first == RungView(1, len(judge.rungs[0].scores), judge.rungs[0].cutoff)
    assert [(view.epochs, view.count) for view in others] == [
        (epochs, sum(len(rung.scores) for rung in judge.rungs if rung.epochs == epochs)) for epochs in (3, 9)
    ]
    least = min(rung.cutoff or 0.0 for rung in judge.rungs if rung.epochs == 9)
    assert 0.0 < least == others[-1].cutoff == -rung_views(judge.rungs, sign=-1)[-1].cutoff  # type: ignore[operator]


def test_rung_views_give_the_cutoff_in_the_objectives_own_sense() -> None:
    judge = Asha().judge(SearchConfig(max_epochs=9))
    for number, loss in enumerate((0.5, 1.0, 2.0)):
        judge.goes_on(f"{number:04d}", 1, -loss)
    assert rung_views(judge.rungs, sign=-1) == [RungView(1, 3, 0.5), RungView(3, 0, None)]


def test_the_best_that_is_shown_never_falls_once_a_trial_has_ended() -> None:
    tally = Tally("val/accuracy")
    ledger = Ledger(watchers=[tally])
    run(ledger, trial(0), [0.9], None)
    assert "best val/accuracy 0.9000  trial 0000, 1 epochs, still training" in drawn(tally)
    run(ledger, trial(1), [0.6, 0.7], Status.STOPPED)
    assert "best val/accuracy 0.7000  trial 0001, 2 epochs, 8,450 parameters" in drawn(tally)
    ledger.report("0000", {"epoch": 2, "val/accuracy": 0.5})
    assert tally.best == 0.7
    ledger.report("0000", {"epoch": 3, "val/accuracy": 0.8})
    ledger.end(ledger.records["0000"], Status.COMPLETED)
    assert tally.best == 0.8


def test_the_searchs_time_is_no_time_left_of_the_confirmation() -> None:
    _, watcher = watched(console(terminal=False), Clock(), time_left_s=lambda: 5.0)
    assert watcher.left_s == 5.0
    watcher.begin("Confirming", 15)
    assert watcher.left_s is None


def test_the_training_share_is_of_the_places_time_since_the_first_step() -> None:
    tally = Tally("val/accuracy")
    ledger = Ledger(watchers=[tally])
    assert tally.training_share(2, now_s=1000.0) is None
    ledger.start(trial(0))
    for epoch in (1, 2):
        times = {"time/began_s": 1000.0 + epoch, "time/training_s": 3.0}
        ledger.report("0000", {"epoch": epoch, "val/accuracy": 0.5, **times})
    assert tally.training_share(2, now_s=1005.0) == pytest.approx(6 / (2 * 4))


# The watcher in a terminal


def test_a_terminal_gets_the_panel_and_no_lines() -> None:
    live = console(terminal=True)
    ledger, watcher = watched(live, Clock(), total=2, rungs=lambda: [RungView(1, 2, 0.75)])
    run(ledger, trial(0), [0.5, 0.8], Status.COMPLETED)
    run(ledger, trial(1), [0.4], Status.STOPPED)
    watcher.close()
    assert "2 of 2" in said(live)
    assert "1 completed · 1 stopped" in said(live)
    assert "reached epoch 1: 2 (≥ 0.750)" in said(live)
    assert "stopped at epoch" not in said(live)


def test_closing_gives_the_cursor_back_and_may_happen_twice() -> None:
    live = console(terminal=True)
    ledger, watcher = watched(live, Clock())
    run(ledger, trial(0), [0.5], None)
    watcher.close()
    watcher.close()
    assert said(live).rindex("\x1b[?25h") > said(live).rindex("\x1b[?25l")


def test_closing_before_anything_happened_says_nothing() -> None:
    for terminal in (True, False):
        quiet = console(terminal)
        watched(quiet, Clock())[1].close()
        assert said(quiet) == ""


def test_a_new_phase_counts_anew_and_names_its_runs() -> None:
    plain, clock = console(terminal=False), Clock()
    ledger, watcher = watched(plain, clock)
    run(ledger, trial(0), [0.9], Status.COMPLETED)
    clock.now_s += 5
    watcher.begin("Confirming", 2)
    record = TrialRecord(-1, "confirm-trial-0000-seed1000", {})
    run(ledger, record, [0.8], Status.COMPLETED)
    assert "confirm-trial-0000-seed1000 completed at epoch 1: val/accuracy 0.8000" in lines(plain)[-1]
    assert "1 of 2 tried" in lines(plain)[-1]


@pytest.mark.parametrize(("time_left_s", "expected_s"), [(None, 90.0), (20.0, 20.0), (500.0, 90.0), (-3.0, 0.0)])
def test_time_left_is_that_of_the_budget_that_ends_first(time_left_s: float | None, expected_s: float) -> None:
    clock = Clock()
    ledger, watcher = watched(console(terminal=False), clock, total=4, time_left_s=lambda: time_left_s)
    run(ledger, trial(0), [0.5], None)
    clock.now_s += 30
    ledger.end(ledger.records["0000"], Status.COMPLETED)
    assert watcher.left_s == pytest.approx(expected_s)


def test_time_left_is_unknown_before_a_trial_has_ended() -> None:
    ledger, watcher = watched(console(terminal=False), Clock())
    run(ledger, trial(0), [0.5], None)
    assert watcher.left_s is None


def test_forty_trials_in_a_pipe_are_few_lines_without_control_characters() -> None:
    script = """
import sys
from rich.console import Console
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.showing.progress import ProgressWatcher
ledger = Ledger(watchers=[ProgressWatcher(Console(), "val/accuracy", 40)])
for number in range(40):
    record = TrialRecord(number, f"{number:04d}", {"loss.temperature": 2.0})
    ledger.start(record)
    ledger.report(record.trial_id, {"epoch": 1, "val/accuracy": number / 40})
    ledger.end(record, Status.COMPLETED)
ledger.close()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
    assert "40 of 40 tried" in done.stdout.splitlines()[-1]
    assert done.stderr == ""


# The tally that both displays read agrees with the ledger that the results are read from

events = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.one_of(st.floats(0, 1), st.sampled_from([*(s for s in Status if s is not Status.RUNNING)])),
    ),
    max_size=60,
)


def ended_first(ledger: Ledger) -> list[TrialRecord]:
    return sorted(ledger.ranked(), key=lambda record: record.status is Status.RUNNING)


@given(events, st.sampled_from(["val/accuracy", "val/loss"]))
def test_the_tally_agrees_with_the_ledger(events: list[tuple[int, float | Status]], objective: str) -> None:
    tally = Tally(objective)
    ledger = Ledger(objective, [tally])
    for number, event in events:
        record = ledger.records.get(f"{number:04d}")
        if record is not None and record.status is not Status.RUNNING:
            continue
        if record is None:
            record = trial(number)
            ledger.start(record)
        if isinstance(event, Status):
            ledger.end(record, event)
        else:
            epoch = record.epochs + 1
            ledger.report(record.trial_id, {"epoch": epoch, objective: event}, is_rung=epoch == 3)
        best = next(iter(ended_first(ledger)), None)
        assert tally.best == (best.last[objective] if best else None)
        assert {status: tally.counts[status] for status in Status} == {s: ledger.count(s) for s in Status}
    assert tally.rungs[3] == sum(record.rung == 3 for record in ledger.records.values())
    ranked = [record.last[objective] for record in ended_first(ledger)]
    assert [record.last[objective] for record in tally.leaders(99)] == ranked


# Headings and words


def test_a_heading_says_what_begins() -> None:
    plain = console(terminal=False)
    Reporter(plain).say("Teacher", "resnet, from cache")
    assert said(plain) == "Teacher  resnet, from cache\n"


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


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1:00 min"), (3599, "59:59 min"), (7500, "2:05 h"), (-1, "0 s")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("per_hour", "words"), [(0.5, "0.5 trials/h"), (48.6, "48.6 trials/h"), (1234.5, "1,234 trials/h")]
)
def test_rates(per_hour: float, words: str) -> None:
    assert rate(per_hour) == words
