"""How often workers that die are given the same epoch again."""

import asyncio
from typing import Any, cast

import pytest

from distill_tune.tuning.workers.mailbox import Mailbox


async def _times_begun(retries: int, epochs_between: int) -> tuple[int, Any]:
    """Of an epoch that ends its workers each time, after some that do not; and what the trial hears in the end."""
    mailbox = Mailbox(retries)
    await mailbox.assign(cast(Any, "an assignment"))
    for epoch in range(1, epochs_between + 1):
        wanted = asyncio.create_task(mailbox.next_report())
        number, _ = cast(Any, await mailbox.next_assignment())
        reporting = asyncio.create_task(mailbox.report(number, {"epoch": float(epoch)}, False))
        assert await wanted == {"epoch": float(epoch)}
        reporting.cancel()
    told = asyncio.create_task(mailbox.next_report())
    begun = 0
    while not told.done():
        begin = asyncio.create_task(mailbox.next_assignment())
        await asyncio.wait({begin, told}, return_when=asyncio.FIRST_COMPLETED)
        if begin.done():
            begun += 1
            await mailbox.note_fault("killed")
        begin.cancel()
    return begun, told.result()


@pytest.mark.parametrize("epochs_between", [0, 3])
@pytest.mark.parametrize("retries", [0, 1, 4])
def test_an_epoch_that_kills_its_workers_is_begun_again_as_often_as_was_asked_for(
    retries: int, epochs_between: int
) -> None:
    assert asyncio.run(_times_begun(retries, epochs_between)) == (1 + retries, "killed")
