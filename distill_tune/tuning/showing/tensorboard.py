"""TensorBoard, live: one run per trial, and one for the search, which describes the HParams page.

Ray's own logger writes hyperparameters only when a trial ends, always as a success, and one experiment per trial, so
that running trials, failed ones and conditional parameters are missing or hidden. Here hyperparameters are written at
the start, and the end records the outcome.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from distill_tune.config.searching import COSTS
from distill_tune.config.space import Space
from distill_tune.config.writing import as_toml
from distill_tune.export.model_card import as_code
from distill_tune.tuning.showing.events import PREFIX, EventFile, layout, scalars, text
from distill_tune.tuning.showing.hparams import columns_of, experiment, final_status, session_end, session_start
from distill_tune.tuning.showing.tally import Tally
from distill_tune.tuning.showing.wording import amount, metric, settings
from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import Report, Status, TrialRecord, sign_of

SEARCH_RUN = "search"
LEADERS = 20
CHARTS = {
    "Generalization": {
        "loss, training and validation": ["train/loss", "val/loss"],
        "accuracy, training and validation": ["train/accuracy", "val/accuracy"],
        "gap of accuracy": ["gap/accuracy"],
    },
    "Distillation": {"loss terms, labels and teacher": ["train/hard_loss", "train/soft_loss"]},
    "Search": {
        "best trial that has ended, by trials ended": ["search/best"],
        "share of the places' time spent training": ["search/training_share"],
        "trials by status": [f"search/{status}" for status in Status],
    },
}


@dataclass
class Run:
    """A trial's run while it is open."""

    record: TrialRecord
    events: EventFile
    best: float | None = None


class TensorBoardWatcher(Watcher):
    """Writes `folder/search/` and `folder/<trial_id>/`; `tensorboard --logdir folder` shows them."""

    def __init__(self, folder: Path, space: Space, objective: str, places: int = 1, is_baseline: bool = False):
        """Open the run of the search.

        Args:
            folder: The folder of all runs.
            space: The space whose parameters are the columns.
            objective: The objective, or the first of several.
            places: The number of concurrent trainings; `search/training_share` is a share of their time.
            is_baseline: Whether the folder above has another search, whose run describes the columns of the page.
        """
        self._folder, self._objective, self._places = folder, objective, places
        self._columns, self._rows = columns_of(space), f"{folder.name}/" if is_baseline else ""
        further = space.config.search.objectives[1:]
        self._tally = Tally(objective, further=further)
        self._open: dict[str, Run] = {}
        self._paused: set[str] = set()
        """Trials whose runs were closed in a pause."""
        self._furthest = 0
        self._leader: str | None = None
        """The trial that the latest `incumbent` names."""
        self._search = EventFile(folder / SEARCH_RUN)
        about = [] if is_baseline else [experiment(self._columns, _metrics(objective, further))]
        self._search.add(0, *about, layout(_charts(space)), text("configuration", f"```toml\n{as_toml(space)}```"))
        self._search.flush()

    def trial_known(self, record: TrialRecord) -> None:
        """Count the trial; its run was written when it was trained."""
        if record.status is Status.PAUSED:
            self._paused.add(record.trial_id)
        if not record.is_confirmation:
            self._tally.trial_known(record)

    def trial_started(self, record: TrialRecord) -> None:
        """Open its run with hyperparameters and size; a run that begins again replaces its older files."""
        self._paused.discard(record.trial_id)
        if not record.is_confirmation:
            self._tally.trial_started(record)
        self._begin(record)
        self._write_leader()

    def trial_reported(self, record: TrialRecord) -> None:
        """Write every number of the report, and the best value so far."""
        if not record.is_confirmation:
            self._tally.trial_reported(record)
        self._write_report(self._open[record.trial_id], record.last)
        self._write_leader()

    def trial_paused(self, record: TrialRecord) -> None:
        """Close its run as it stands: most never continue, and the run of one that does is rewritten."""
        self._finish(self._open[record.trial_id])
        self._paused.add(record.trial_id)
        self._tally.trial_paused(record)
        self._write_leader()
        self._write_state()

    def trial_ended(self, record: TrialRecord) -> None:
        """Write how it ended and close its run; an infeasible one was never trained and has none."""
        if record.status is not Status.INFEASIBLE and record.trial_id not in self._paused:
            self._finish(self._open.get(record.trial_id) or self._begin(record))
        if record.is_confirmation:
            return
        self._tally.trial_ended(record)
        self._write_leader()
        if record.trial_id not in self._paused or not self._tally.counts[Status.PAUSED]:
            self._write_state()  # of trials that are stopped together at the end, only for the last

    def close(self) -> None:
        """End open runs as interrupted, write the leaderboard, and close the search's run; may be called again."""
        if self._search.closed:
            return
        for run in list(self._open.values()):
            self._finish(run)
        self._search.add(self._step, text("leaderboard", self._leaderboard()))
        if self._tally.front:
            self._search.add(self._step, text("front", self._front()))
        self._search.close()

    def _begin(self, record: TrialRecord) -> Run:
        folder = self._folder / record.trial_id
        if record.trial_id in self._open:
            self._open.pop(record.trial_id).events.close()
        for old in folder.glob(f"{PREFIX}*"):
            old.unlink()  # TensorBoard uses the first start and the first end that it reads in a run
        run = self._open[record.trial_id] = Run(record, EventFile(folder))
        costs = {f"trial/{name}": getattr(record, name) for name in COSTS}
        known = scalars({tag: cost for tag, cost in costs.items() if cost})
        run.events.add(0, session_start(record, self._columns, self._rows), *known, wall_s=record.started_s)
        for report in record.reports:  # from before an interruption
            self._write_report(run, report)
        run.events.flush()
        return run

    def _write_report(self, run: Run, report: Report) -> None:
        numbers = {tag: number for tag, number in report.items() if tag != "epoch" and not tag.startswith("time/")}
        value = report.get(self._objective, math.nan)
        if math.isfinite(value):
            run.best = value if run.best is None else self._tally.better(value, run.best)
            numbers[f"best/{self._objective}"] = run.best
        numbers["trial/epochs"] = report["epoch"]
        epoch = int(report["epoch"])
        run.events.add(epoch, *scalars(numbers), wall_s=run.record.heard_s.get(epoch))

    def _finish(self, run: Run) -> None:
        del self._open[run.record.trial_id]
        run.events.add(run.record.epochs, session_end(run.record), text("outcome", _outcome(run.record)))
        run.events.close()

    @property
    def _step(self) -> int:
        """The most trials that had ended or paused at any time: the count falls if a paused one is promoted."""
        self._furthest = max(self._furthest, self._tally.ended)
        return self._furthest

    def _write_leader(self) -> None:
        """Name the incumbent if it has changed; an end or a pause can change it too, not only a report."""
        record = self._tally.incumbent
        leader = None if record is None else record.trial_id
        if leader != self._leader:
            self._leader = leader
            self._search.add(self._step, text("incumbent", self._incumbent()))

    def _write_state(self) -> None:
        self._search.add(self._step, *scalars(self._state()))

    def _state(self) -> dict[str, float]:
        counts = {f"search/{status}": float(self._tally.counts[status]) for status in Status}
        rungs = {f"rungs/epoch_{epochs:04d}": float(count) for epochs, count in self._tally.rungs.items()}
        best = {} if self._tally.best is None else {"search/best": self._tally.best}
        best |= {"search/front": float(len(self._tally.front))} if self._tally.front else {}
        share = self._tally.training_share(self._places, time.time())
        used = {} if share is None else {"search/training_share": share}
        return counts | rungs | best | used | {"search/trials_per_hour": self._tally.trials_per_hour}

    def _incumbent(self) -> str:
        return "" if (record := self._tally.incumbent) is None else f"**{record.trial_id}** {settings(record.values)}"

    def _leaderboard(self) -> str:
        heads = ("#", "trial", self._objective, "status", "epochs", "parameters", "settings")
        rows = [
            (
                place,
                record.trial_id,
                metric(self._tally.value_of(record)),
                record.status,
                record.epochs,
                f"{record.parameters:,}",
                settings(record.values),
            )
            for place, record in enumerate(self._tally.leaders(LEADERS), 1)
        ]
        return _table(heads, rows)

    def _front(self) -> str:
        objectives = self._tally.objectives
        best_first = sorted(self._tally.front.items(), key=itemgetter(1), reverse=True)
        rows = [
            (trial_id, *(amount(sign_of(name) * score) for name, score in zip(objectives, scores, strict=True)))
            for trial_id, scores in best_first
        ]
        return _table(("trial", *objectives), rows)


def _charts(space: Space) -> dict[str, dict[str, list[str]]]:
    """`CHARTS`, with the further terms of the space's loss added."""
    further = [f"train/{name}_loss" for name in space.added]
    terms = {title: [*tags, *further] for title, tags in CHARTS["Distillation"].items()}
    return CHARTS | {"Distillation": terms}


def _outcome(record: TrialRecord) -> str:
    """How it ended; the message is code, since names such as `__init__` would be markup."""
    status = f"**{final_status(record)}**"
    return f"{status} {as_code(record.message)}" if record.message else status


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (heads, ["--"] * len(heads), *rows))


def _metrics(objective: str, further: Sequence[str]) -> dict[str, str]:
    """The table's metrics by tag: TensorBoard shows their last values, initially of the first five.

    Every trial that has trained an epoch has those five. Its parallel coordinates leave out trials without a value: the
    gap, which is measured when a training finishes, would exclude all stopped ones.
    """
    other = "val/accuracy" if sign_of(objective) < 0 else "val/loss"
    return {
        objective: objective,
        **{
            f"trial/{name}" if name in COSTS else name: name.replace("multiply_adds", "multiply-adds")
            for name in further
        },
        other: other,
        "trial/epochs": "epochs",
        "trial/parameters": "parameters",
        "train/loss": "train/loss",
        "gap/accuracy": "gap/accuracy",
        f"best/{objective}": f"best {objective}",
        "val/agreement": "val/agreement",
        "trial/multiply_adds": "multiply-adds",
    }
