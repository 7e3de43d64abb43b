"""Output to a pipe or a log while a search runs: few lines, each self-contained."""

import math
import re
import subprocess
import sys

from watched_trials import Clock, console, lines, run, said, trial, watched

from distill_tune.tuning.state.records import Status


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


def test_a_leader_that_may_still_get_worse_is_said_to_be_training_since_any_that_has_ended_takes_its_place() -> None:
    clock, plain = Clock(), console(terminal=False)
    ledger, _ = watched(plain, clock)
    run(ledger, trial(0), [0.9], None)
    assert lines(plain)[-1].endswith("(best 0.9000 by 0000, still training), 0 of 64 tried")
    clock.now_s += 30
    run(ledger, trial(1), [0.5], Status.STOPPED)
    assert "(best 0.5000 by 0001: family mlp" in lines(plain)[-1]
    assert "still training" not in lines(plain)[-1]


def test_quick_trials_are_summed_up_in_about_a_line_a_second() -> None:
    clock, plain = Clock(), console(terminal=False)
    ledger, watcher = watched(plain, clock, total=100)
    for number in range(100):
        clock.now_s += 0.1
        run(ledger, trial(number), [0.5], Status.STOPPED if number % 2 else Status.COMPLETED)
    watcher.close()
    assert len(lines(plain)) <= 12
    summed_up = re.findall(r"^since then (.*?) \(best", said(plain), re.MULTILINE)
    counted = sum(int(n) for line in summed_up for n in re.findall(r"(\d+) (?:stopped|completed)", line))
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
    assert lines(plain)[-1].startswith("since then 1 completed, 1 stopped, 1 paused (best")


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
