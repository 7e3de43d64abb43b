"""The mailbox between a trial and the workers of its group: plain asyncio, which Ray makes an actor of."""

from __future__ import annotations

import asyncio

from distill_tune.errors import StorageError
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment

_PATIENCE_S = 1.0
"""How long a trial hears nothing of workers that are not up."""


class RunFault(str):
    """Why the whole run has ended: no fault of the assignment in hand."""


class Mailbox:
    """An actor between a trial and the workers of its group; every method but `fail` is asked by one side only.

    `report` returns only when the trial wants another epoch or has dropped the assignment, so no epoch is trained that
    nobody asked for.
    """

    def __init__(self, retries: int) -> None:
        """`retries` is how often an epoch is handed out again after its workers have died in it."""
        self._retries = retries
        self._assignment: Assignment | None = None
        self._number = 0
        self._delivered = 0.0
        """The last epoch that the trial has been told of."""
        self._closed = False
        self._fault: RunFault | None = None
        self._wanted = False
        self._are_up = False
        """Whether workers have asked for an assignment, and none has died since."""
        self._asker = 0
        """The latest call of `next_assignment`: Ray does not cancel that of a rank 0 which has died while it waited."""
        self._tries = 0
        """How often the workers were given the assignment since the last epoch that was reported."""
        self._why: str | StorageError = ""
        self._reports: asyncio.Queue[Report | str | StorageError] = asyncio.Queue()
        self._changed = asyncio.Condition()

    async def assign(self, assignment: Assignment | None) -> None:
        """From the trial: another assignment, or None to drop the one in hand."""
        async with self._changed:
            self._assignment, self._wanted, self._delivered = assignment, False, 0.0
            self._tries, self._why = 0, ""
            self._number += 1
            self._reports = asyncio.Queue()
            self._changed.notify_all()

    async def next_report(self) -> Report | str | StorageError | None:
        """From the trial: the next epoch's report, or what went wrong.

        None where no workers are up, so that whoever waits can look at something else before it asks again.
        """
        if self._fault is not None:
            return self._fault
        async with self._changed:
            if self._reports.empty():  # else it was asked for before
                self._wanted = True
                self._changed.notify_all()
        while True:
            try:
                return await asyncio.wait_for(self._reports.get(), _PATIENCE_S)
            except TimeoutError:
                if not self._are_up:
                    return None

    async def close(self) -> bool:
        """From the trial: no further assignments; whether workers are up to hear of it."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
        return self._are_up

    async def is_closed(self) -> bool:
        """Whether workers that are not up yet would have nothing to do."""
        return self._closed

    async def lost(self) -> None:
        """A worker has died: none is up until all have been started again."""
        self._are_up = False

    async def fail(self, text: str) -> None:
        """The whole run has failed, for this assignment and every later one."""
        self._fault = RunFault(text)
        await self._reports.put(self._fault)

    async def next_assignment(self) -> tuple[int, Assignment] | None:
        """From rank 0: the assignment in hand once its next epoch is wanted; None when closed.

        What has ended its workers too often without another epoch is dropped: it must not cost every later trial.
        Whoever asked before has died, and gets None, lest it be given what is meant for the one that lives.
        """
        self._are_up = True
        self._asker += 1
        mine = self._asker
        async with self._changed:
            self._changed.notify_all()
            while True:
                await self._changed.wait_for(lambda: self._is_answered(mine))
                if self._closed or self._assignment is None or mine != self._asker:
                    return None
                self._tries += 1
                if self._tries <= 1 + self._retries:
                    return self._number, self._assignment
                self._assignment, self._wanted = None, False
                await self._reports.put(self._why or "its workers died again and again")

    def _is_answered(self, asker: int) -> bool:
        is_to_begin = self._assignment is not None and self._wanted
        return self._closed or asker != self._asker or is_to_begin

    async def report(self, number: int, report: Report, is_last: bool) -> bool:
        """From rank 0: an epoch of assignment `number`; whether to train another."""
        async with self._changed:
            if number != self._number:
                return False
            if report["epoch"] <= self._delivered:  # restarted workers repeat what the trial has already been told
                return True
            self._delivered = report["epoch"]
            self._wanted, self._tries, self._why = False, 0, ""
            if is_last:
                self._assignment = None
            await self._reports.put(report)
            await self._changed.wait_for(lambda: self._closed or self._wanted or self._number != number)
            return not self._closed and self._number == number and not is_last

    async def note_fault(self, fault: str | StorageError) -> None:
        """From any rank: why its process ends; the first says most, since others then miss it."""
        self._why = self._why or fault

    async def drop(self, number: int, fault: str | StorageError) -> None:
        """From rank 0: assignment `number` has failed by its own fault, or cannot be kept."""
        async with self._changed:
            if number == self._number:
                self._assignment, self._wanted = None, False
                await self._reports.put(fault)
