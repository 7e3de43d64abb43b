"""The mailbox between a trial and the workers of its group: plain asyncio, which Ray turns into an actor."""

from __future__ import annotations

import asyncio

from distill_tune.errors import StorageError
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment

_PATIENCE_S = 1.0
"""How long a trial waits for workers that are not up before it is told so."""


class RunFault(str):
    """Why the whole run has ended; not the fault of the current assignment."""


class Mailbox:
    """An actor between a trial and the workers of its group; each method but `fail` is called from one side only.

    `report` returns only when the trial wants another epoch or has dropped the assignment, so no epoch is trained that
    nobody requested.
    """

    def __init__(self, retries: int) -> None:
        """`retries` is how often an epoch is assigned again after its workers have died in it."""
        self._retries = retries
        self._assignment: Assignment | None = None
        self._number = 0
        self._delivered = 0.0
        """The last epoch reported to the trial."""
        self._closed = False
        self._fault: RunFault | None = None
        self._wanted = False
        self._are_up = False
        """Whether workers have requested an assignment, and none has died since."""
        self._asker = 0
        """Number of the latest `next_assignment` call; Ray does not cancel that of a rank 0 that died while waiting."""
        self._tries = 0
        """How often the workers were given the assignment since the last reported epoch."""
        self._why: str | StorageError = ""
        self._reports: asyncio.Queue[Report | str | StorageError] = asyncio.Queue()
        self._changed = asyncio.Condition()

    async def assign(self, assignment: Assignment | None) -> None:
        """From the trial: set another assignment, or None to drop the current one."""
        async with self._changed:
            self._assignment, self._wanted, self._delivered = assignment, False, 0.0
            self._tries, self._why = 0, ""
            self._number += 1
            self._reports = asyncio.Queue()
            self._changed.notify_all()

    async def next_report(self) -> Report | str | StorageError | None:
        """From the trial: wait for the next epoch's report, or what went wrong.

        Returns None if no workers are up, so that the caller can do other things before it asks again.
        """
        if self._fault is not None:
            return self._fault
        async with self._changed:
            if self._reports.empty():  # otherwise it was requested before
                self._wanted = True
                self._changed.notify_all()
        while True:
            try:
                return await asyncio.wait_for(self._reports.get(), _PATIENCE_S)
            except TimeoutError:
                if not self._are_up:
                    return None

    async def close(self) -> bool:
        """From the trial: there are no further assignments; returns whether workers are up to hear of it."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
        return self._are_up

    async def is_closed(self) -> bool:
        """Whether the mailbox is closed, so that workers that are not up yet would have nothing to do."""
        return self._closed

    async def lost(self) -> None:
        """Note that a worker died: none counts as up until all have been restarted."""
        self._are_up = False

    async def fail(self, text: str) -> None:
        """Note that the whole run has failed, for this assignment and every later one."""
        self._fault = RunFault(text)
        await self._reports.put(self._fault)

    async def next_assignment(self) -> tuple[int, Assignment] | None:
        """From rank 0: wait until the current assignment's next epoch is wanted; returns None when closed.

        An assignment that has killed its workers too often without another epoch is dropped, lest it cost every later
        trial. An earlier caller must have died; it gets None, so that it does not take what is meant for the living
        one.
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
        """From rank 0: an epoch of assignment `number`; returns whether to train another."""
        async with self._changed:
            if number != self._number:
                return False
            if report["epoch"] <= self._delivered:  # restarted workers repeat epochs already reported to the trial
                return True
            self._delivered = report["epoch"]
            self._wanted, self._tries, self._why = False, 0, ""
            if is_last:
                self._assignment = None
            await self._reports.put(report)
            await self._changed.wait_for(lambda: self._closed or self._wanted or self._number != number)
            return not self._closed and self._number == number and not is_last

    async def note_fault(self, fault: str | StorageError) -> None:
        """From any rank: why its process ends; the first fault counts, since later ones are mostly consequences."""
        self._why = self._why or fault

    async def drop(self, number: int, fault: str | StorageError) -> None:
        """From rank 0: assignment `number` failed by its own fault, or cannot be saved."""
        async with self._changed:
            if number == self._number:
                self._assignment, self._wanted = None, False
                await self._reports.put(fault)
