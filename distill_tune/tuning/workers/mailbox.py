"""The mailbox between a trial and the workers of its group: plain asyncio, which Ray makes an actor of."""

from __future__ import annotations

import asyncio

from distill_tune.errors import StorageError
from distill_tune.tuning.books.records import Report
from distill_tune.tuning.workers.assignment import Assignment


class Mailbox:
    """An actor between a trial and the workers of its group; every method but `fail` is asked by one side only.

    `report` returns only when the trial wants another epoch or has dropped the assignment, so no epoch is trained that
    nobody asked for.
    """

    def __init__(self, retries: int) -> None:
        """`retries` is how often workers may begin an epoch again that has ended them."""
        self._retries = retries
        self._assignment: Assignment | None = None
        self._number = 0
        self._delivered = 0.0
        """The last epoch that the trial has been told of."""
        self._closed = False
        self._fault: str | None = None
        self._wanted = False
        self._tries = 0
        """How often the workers were given the assignment since the last epoch that was reported."""
        self._why = ""
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

    async def next_report(self) -> Report | str | StorageError:
        """From the trial: the next epoch's report, or what went wrong."""
        if self._fault is not None:
            return self._fault
        async with self._changed:
            self._wanted = True
            self._changed.notify_all()
        return await self._reports.get()

    async def close(self) -> None:
        """From the trial: no further assignments."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def fail(self, text: str) -> None:
        """The whole run has failed, for this assignment and every later one."""
        self._fault = text
        await self._reports.put(text)

    async def next_assignment(self) -> tuple[int, Assignment] | None:
        """From rank 0: the assignment in hand once its next epoch is wanted; None when closed.

        What has ended its workers too often without another epoch is dropped: it must not cost every later trial.
        """
        async with self._changed:
            while True:
                await self._changed.wait_for(lambda: self._closed or (self._assignment is not None and self._wanted))
                if self._closed or self._assignment is None:
                    return None
                self._tries += 1
                if self._tries <= 1 + self._retries:
                    return self._number, self._assignment
                self._assignment, self._wanted = None, False
                await self._reports.put(self._why or "its workers died again and again")

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

    async def note_fault(self, text: str) -> None:
        """From any rank: why its process ends; the first says most, since others then miss it."""
        self._why = self._why or text

    async def drop(self, number: int, fault: str | StorageError) -> None:
        """From rank 0: assignment `number` has failed by its own fault, or cannot be kept."""
        async with self._changed:
            if number == self._number:
                self._assignment, self._wanted = None, False
                await self._reports.put(fault)
