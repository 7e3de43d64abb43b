"""A place of a search with fused lanes: an actor under Tune that trains the trials that the place has in hand.

To Tune a place is one long trial. A result costs the driver some 20 ms, and a process per lane would have to load Ray;
so one result has the reports of all lanes, and the conductor decides on each of them as usual.
"""

from __future__ import annotations

import time
from typing import Any

import ray

from distill_tune.errors import StorageError, one_line
from distill_tune.tuning.running.lane_desk import Turn
from distill_tune.tuning.state.records import News, Report
from distill_tune.tuning.workers.faults import end_if_spoilt
from distill_tune.tuning.workers.lane_group import LaneGroup
from distill_tune.tuning.workers.occupied_gpu import OccupiedGpu
from distill_tune.tuning.workers.trial import DIED, NO_ROOM, SAYS, TrialContext
from distill_tune.tuning.workers.tune_actor import TuneActor

LANES = "lanes"
"""The key of each lane's news in a result."""
_STEP_S = 1.0
"""About how many seconds a step lasts if nothing can be decided sooner. Longer than the step of a trial alone, since
there are the epochs of many lanes to train between two decisions, and all of them wait while one waits for the
driver."""


class LaneHost(TuneActor):
    """Trains all lanes of a place, some epochs per step."""

    def __init__(self, config: dict[str, Any], context: TrialContext, desk: Any):
        """Start the group; `config` has the number of the place."""
        self._context, self._desk, self._place = context, desk, config["place"]
        search, resources = context.space.config.search, context.space.config.resources
        self._judge = context.judge()
        self._max_epochs = search.max_epochs
        self._group = LaneGroup(resources)
        self._group.start()
        self._gpu = OccupiedGpu(resources)
        self._is_new, self._is_short = True, False

    def train(self) -> dict[str, Any]:
        """Train the trials that are due until one of them needs a decision, or for about `_STEP_S`."""
        try:
            turn, told = self._step()
            return {LANES: told, SAYS: self._wait_for_room(turn) if self._is_short else ""}
        except StorageError as error:
            return {NO_ROOM: str(error), LANES: []}
        except Exception as error:  # such as while splitting up lanes
            end_if_spoilt(error)
            raise

    def _step(self) -> tuple[Turn, list[News]]:
        turn: Turn = ray.get(self._desk.take.remote(self._place, self._is_new))
        self._is_new = self._is_short = False
        told = {trial: News(trial, [], DIED) for trial in turn.given_up}
        self._take_up(turn, told)
        due, until_s = [trial for trial in turn.due if trial in self._group.trials], time.monotonic() + _STEP_S
        while due:
            for trial, found in self._group.next_reports(due).items():
                self._hear(trial, found, told, turn)
            if self._is_short or time.monotonic() > until_s or any(self._is_decided(told[trial]) for trial in due):
                break
        return turn, list(told.values())

    def _take_up(self, turn: Turn, told: dict[str, News]) -> None:
        """Drop trials that are no longer in hand or, if only one is due, would take memory from it; start new ones."""
        stay = turn.due if len(turn.due) == 1 else set(turn.hand) - set(turn.given_up)
        for trial in self._group.trials:
            if trial not in stay:
                self._group.leave(trial)
        for trial in turn.due:
            if trial not in self._group.trials:
                try:
                    self._group.join(self._context.assignment(trial, turn.hand[trial]))
                except StorageError:  # its node takes no files, for which no trial is to blame
                    raise
                except Exception as error:  # of custom code: this trial fails, the others go on
                    self._hear(trial, error, told, turn)

    def _hear(self, trial: str, found: list[Report] | Exception, told: dict[str, News], turn: Turn) -> None:
        reports = told[trial].reports if trial in told else []
        if not isinstance(found, Exception):
            told[trial] = News(trial, reports + [dict(report) for report in found])
            self._gpu.reached(trial, told[trial].reports[-1]["epoch"])
        elif self._gpu.allow_another_try(found, len(turn.due)):
            self._is_short = True  # it is tried again
        else:
            self._context.log(trial, found)
            end_if_spoilt(found)  # the desk knows which trials were running
            told[trial] = News(trial, reports, one_line(found))

    def _wait_for_room(self, turn: Turn) -> str:
        """Wait for other programs to leave the GPU; or, if some trials have room, have trials train one at a time."""
        have_room = any(trial in self._group.trials for trial in turn.due)
        if len(turn.due) == 1 or (not have_room and self._gpu.allow_retry()):
            ray.get(self._desk.waits.remote(self._place))
            return self._gpu.pause()
        ray.get(self._desk.had_no_room.remote(self._place))
        return f"a GPU has too little memory for {len(turn.due)} trials at once, so they are tried one by one"

    def _is_decided(self, news: News) -> bool:
        epoch = int(news.reports[-1]["epoch"]) if news.reports else 0
        return news.failure is not None or epoch >= self._max_epochs or self._judge.is_rung(epoch)

    def reset(self, config: dict[str, Any]) -> bool:
        """Serve another place, which has had no process so far, and drop the trials of the last one."""
        self._group.shutdown()
        self._place, self._is_new = config["place"], True
        return True

    def stop(self) -> None:
        """Drop all running trials."""
        self._group.shutdown()
