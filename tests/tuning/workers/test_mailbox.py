"""How often dying workers are given the same epoch again."""

import asyncio
from typing import Any, cast

import pytest

from distill_tune.tuning.workers.mailbox import _PATIENCE_S, Mailbox


async def _times_begun(retries: int, epochs_between: int) -> tuple[int, Any]:
    """How often an epoch that kills its workers is begun, after some that do not; and what the trial hears."""
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


async def _heard_while_workers(are_up: bool) -> Any:
    """What a trial hears within a few seconds without a report."""
    mailbox = Mailbox(retries=1)
    await mailbox.assign(cast(Any, "an assignment"))
    told = asyncio.create_task(mailbox.next_report())
    await asyncio.sleep(0)  # so that it is wanted
    await mailbox.next_assignment()
    if not are_up:
        await mailbox.lost()
    done, _ = await asyncio.wait({told}, timeout=3 * _PATIENCE_S)
    if done:
        assert await mailbox.close() is False
        return told.result()
    number, _ = cast(Any, await mailbox.next_assignment())
    reporting = asyncio.create_task(mailbox.report(number, {"epoch": 1.0}, False))
    report = await told
    reporting.cancel()
    return report


def test_a_trial_waits_for_workers_at_work_and_hears_when_they_are_lost() -> None:
    assert asyncio.run(_heard_while_workers(are_up=True)) == {"epoch": 1.0}
    assert asyncio.run(_heard_while_workers(are_up=False)) is None


async def _asked_twice() -> tuple[bool, Any]:
    mailbox = Mailbox(retries=1)
    await mailbox.assign(cast(Any, "an assignment"))
    assert await mailbox.next_report() is None  # no workers yet
    number, _ = cast(Any, await mailbox.next_assignment())
    reporting = asyncio.create_task(mailbox.report(number, {"epoch": 1.0}, False))
    while mailbox._reports.empty():
        await asyncio.sleep(0)
    report = await mailbox.next_report()  # for the epoch asked for before
    reporting.cancel()
    return mailbox._wanted, report


def test_an_epoch_that_is_asked_for_twice_is_trained_once() -> None:
    assert asyncio.run(_asked_twice()) == (False, {"epoch": 1.0})


async def _told_after_idle_deaths(retries: int, deaths: int) -> tuple[Any, Any]:
    """What a trial hears, and what its workers are given, after workers died between two trials."""
    mailbox = Mailbox(retries)
    asked = []
    for _ in range(deaths + 1):  # Ray leaves calls of dead workers waiting
        asked.append(asyncio.create_task(mailbox.next_assignment()))
        await asyncio.sleep(0)
    await mailbox.assign(cast(Any, "an assignment"))
    told = asyncio.create_task(mailbox.next_report())
    *dead, (number, given) = cast(Any, await asyncio.wait_for(asyncio.gather(*asked), _PATIENCE_S))
    assert dead == [None] * deaths
    reporting = asyncio.create_task(mailbox.report(number, {"epoch": 1.0}, False))
    report = await told
    reporting.cancel()
    return report, given


@pytest.mark.parametrize(("retries", "deaths"), [(0, 1), (1, 2), (2, 3), (2, 1)])
def test_workers_that_died_between_two_trials_cost_the_next_trial_no_try(retries: int, deaths: int) -> None:
    assert asyncio.run(_told_after_idle_deaths(retries, deaths)) == ({"epoch": 1.0}, "an assignment")
