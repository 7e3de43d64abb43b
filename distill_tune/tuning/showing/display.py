"""The terminal display of a search (rich): phase headings, the live panel."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distill_tune.streams import fall_silent, tell
from distill_tune.tuning.schedulers import Rung
from distill_tune.tuning.showing.tally import Tally
from distill_tune.tuning.showing.wording import counted, duration, metric, rate, settings
from distill_tune.tuning.state.records import Status, TrialRecord

STYLES = {
    Status.RUNNING: "cyan",
    Status.COMPLETED: "green",
    Status.PAUSED: "blue",
    Status.STOPPED: "",
    Status.FAILED: "red",
    Status.INFEASIBLE: "dim",
    Status.INTERRUPTED: "yellow",
}


@dataclass(frozen=True)
class RungView:
    """The scheduler's rungs after `epochs` epochs, one per bracket, as displayed."""

    epochs: int
    count: int
    """Trials that have reached one of them."""
    cutoff: float | None
    """The objective needed to continue from here in the most lenient bracket; None if one has no cutoff yet."""


def rung_views(rungs: Sequence[Rung], sign: int) -> list[RungView]:
    """The scheduler's rungs for display; `sign` is -1 if smaller is better, since scores are negated then."""
    alike: dict[int, list[Rung]] = {}
    for rung in rungs:
        alike.setdefault(rung.epochs, []).append(rung)
    return [_view(epochs, alike[epochs], sign) for epochs in sorted(alike)]


def _view(epochs: int, rungs: Sequence[Rung], sign: int) -> RungView:
    cutoffs = [rung.cutoff for rung in rungs if rung.cutoff is not None]
    cutoff = sign * min(cutoffs) if len(cutoffs) == len(rungs) else None
    return RungView(epochs, sum(len(rung.scores) for rung in rungs), cutoff)


class SteadyConsole(Console):
    """A console whose reader may disappear (`| head`, a closed terminal) without ending the search."""

    def __init__(self, **options: Any):
        """As rich's, except that forced colours (`FORCE_COLOR`) do not make a log file interactive."""
        super().__init__(**options)
        self.is_interactive = self.is_interactive and self.file.isatty()

    def _check_buffer(self) -> None:
        """As rich's, which handles only a broken pipe; a terminal that is gone raises EIO."""
        try:
            super()._check_buffer()
        except OSError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Print nothing from now on."""
        self.quiet = True
        fall_silent(sys.stdout)


@dataclass(frozen=True)
class Reporter:
    """Prints what a command reports besides its result; a quiet one only prints warnings, on stderr."""

    console: Console
    quiet: bool = False

    def say(self, heading: str, detail: str = "") -> None:
        """Print one line that announces what begins now: "Teacher  resnet, 20 epochs"."""
        if self.quiet:
            return
        line = Text(heading, style="bold")
        if detail:
            line.append(f"  {detail}", style="not bold dim")
        self.console.print(line, soft_wrap=not self.console.is_interactive)

    def tell(self, *lines: str) -> None:
        """Print lines of detail, and warnings."""
        for line in lines:
            if self.quiet and line.startswith("warning: "):
                tell(line, sys.stderr)
            self.say("  ", line)


def panel(title: str, tally: Tally, total: int, left_s: float | None, rungs: Sequence[RungView]) -> RenderableType:
    """The live panel, at most five lines: progress, counts, the leading trial, its settings, and the rungs."""
    lines = [_counts(tally)]
    if tally.incumbent is not None:
        record = tally.incumbent
        best = Text(f"  best {tally.objective} {metric(tally.best)}", style="bold green")
        size = f", {record.parameters:,} parameters" if record.parameters else ""
        trains = ", still training" if record.status is Status.RUNNING else ""
        best.append(f"  {named(record)}, {counted(record.epochs, 'epoch')}{trains}{size}", style="not bold default")
        lines += [best, Text(f"  with {settings(record.values)}", style="dim")]
    if rungs:
        lines.append(_rungs(rungs, "≥" if tally.sign > 0 else "≤"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(_how_far(title, tally, total, left_s), *lines)


def named(record: TrialRecord) -> str:
    """The displayed name of a record: "trial 0007", or the full name of a confirmation."""
    return record.trial_id if record.is_confirmation else f"trial {record.trial_id}"


def _how_far(title: str, tally: Tally, total: int, left_s: float | None) -> Table:
    bar = ProgressBar(max(total, 1), min(tally.trained, total), complete_style="cyan", finished_style="green")
    row: list[RenderableType] = [Text(title, style="bold"), bar, f"{tally.trained:,} of {total:,}"]
    row.append(duration(tally.elapsed_s))
    row += [f"~{duration(left_s)} left"] if left_s else []
    row += [rate(tally.trials_per_hour)] if tally.trained else []
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for index in range(len(row)):
        grid.add_column(ratio=1 if index == 1 else None, no_wrap=True)
    grid.add_row(*row)
    return grid


def _counts(tally: Tally) -> Text:
    parts = [Text(f"{tally.counts[s]:,} {s}", style) for s, style in STYLES.items() if tally.counts[s]]
    parts += [Text(f"front of {len(tally.front):,}", "bold")] if tally.front else []
    return Text("  ").append_text(Text(" · ", "dim").join(parts))


def _rungs(rungs: Sequence[RungView], beyond: str) -> Text:
    parts = [
        f"{rung.epochs}: {rung.count:,}" + ("" if rung.cutoff is None else f" ({beyond} {rung.cutoff:.3f})")
        for rung in rungs
    ]
    return Text("  reached epoch ", style="dim").append(" · ".join(parts))
