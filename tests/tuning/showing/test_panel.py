"""The live panel: counts, the best trial, rungs, and its limit of lines."""

from typing import Any

import pytest
from watched_trials import Clock, console, run, said, trial

from distill_tune.config.searching import SearchConfig
from distill_tune.tuning.schedulers.asha import Asha
from distill_tune.tuning.schedulers.hyperband import Hyperband
from distill_tune.tuning.showing.display import RungView, panel, rung_views
from distill_tune.tuning.showing.tally import Tally
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status


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
    assert "best val/accuracy 0.9000  trial 0000, 1 epoch, still training" in drawn(tally)
    run(ledger, trial(1), [0.6, 0.7], Status.STOPPED)
    assert "best val/accuracy 0.7000  trial 0001, 2 epochs, 8,450 parameters" in drawn(tally)
    ledger.report("0000", {"epoch": 2, "val/accuracy": 0.5})
    assert tally.best == 0.7
    ledger.report("0000", {"epoch": 3, "val/accuracy": 0.8})
    ledger.end(ledger.records["0000"], Status.COMPLETED)
    assert tally.best == 0.8
