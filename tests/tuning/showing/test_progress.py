"""The watcher in a terminal: panel or lines, phases, and the remaining time."""

import io

import pytest
from watched_trials import Clock, console, lines, run, said, trial, watched

from distill_tune.tuning.showing.display import RungView, SteadyConsole
from distill_tune.tuning.state.records import Status, TrialRecord


def test_the_searchs_time_is_no_time_left_of_the_confirmation() -> None:
    _, watcher = watched(console(terminal=False), Clock(), time_left_s=lambda: 5.0)
    assert watcher.left_s == 5.0
    watcher.begin("Confirming", 15)
    assert watcher.left_s is None


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


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"FORCE_COLOR": "1"}], ids=str)
def test_what_cannot_move_its_cursor_gets_lines(variables: dict[str, str]) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return "FORCE_COLOR" not in variables

    plain = SteadyConsole(file=Screen(), _environ=variables)
    ledger, watcher = watched(plain, Clock())
    run(ledger, trial(0), [0.5], Status.COMPLETED)
    assert lines(plain)[0].startswith("trial 0000 leads at epoch 1")
    watcher.close()
    assert "\x1b[" not in said(plain)


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
    assert "1 of 2 trained" in lines(plain)[-1]


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
