"""Tasks: each has an owner, and none dies unheard."""

import asyncio
import logging
from itertools import pairwise

import pytest

from clipper.core.tasks import RESTART_DELAY_MAX_S, RESTART_DELAY_S, Tasks, supervise

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def fail() -> None:
    raise ValueError("no good")


async def test_a_task_runs_under_its_name_and_leaves_when_it_is_done() -> None:
    tasks = Tasks()
    task = tasks.spawn("seven", asyncio.sleep(1, 7))
    assert (task.get_name(), len(tasks)) == ("seven", 1)
    assert await task == 7
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_a_task_that_fails_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    tasks.spawn("doomed", fail())
    await asyncio.sleep(1)
    (record,) = caplog.records
    assert record.getMessage() == "doomed failed"
    assert record.exc_info is not None
    assert len(tasks) == 0


async def test_the_failure_of_a_task_that_its_owner_awaits_is_the_owners(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = Tasks().spawn("doomed", fail(), is_awaited=True)
    with pytest.raises(ValueError, match="no good"):
        await task
    assert caplog.records == []


async def test_a_cancelled_task_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()
    task = tasks.spawn("endless", asyncio.Event().wait())
    await asyncio.sleep(1)
    await tasks.cancel()
    assert task.cancelled()
    assert caplog.records == []


async def test_to_cancel_nothing_is_no_error() -> None:
    await Tasks().cancel()


async def test_cancel_waits_until_every_task_has_cleaned_up() -> None:
    cleaned: list[str] = []

    async def clean_up(name: str, takes_s: float) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(takes_s)
            cleaned.append(name)

    tasks = Tasks()
    for name, takes_s in (("slow", 2.0), ("quick", 1.0)):
        tasks.spawn(name, clean_up(name, takes_s))
    await asyncio.sleep(1)
    await tasks.cancel()
    assert cleaned == ["quick", "slow"]
    assert len(tasks) == 0


async def test_cancel_before_a_task_has_begun_ends_it_too() -> None:
    tasks = Tasks()
    task = tasks.spawn("never begun", asyncio.sleep(3600))
    await tasks.cancel()
    assert task.cancelled()


async def test_a_task_that_is_spawned_by_one_that_ends_is_cancelled_with_it() -> None:
    tasks = Tasks()
    heirs: list[asyncio.Task[None]] = []

    async def leave_an_heir() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            heirs.append(tasks.spawn("heir", asyncio.sleep(3600)))

    tasks.spawn("ancestor", leave_an_heir())
    await asyncio.sleep(1)
    await tasks.cancel()
    assert [heir.cancelled() for heir in heirs] == [True]


async def test_a_task_that_fails_while_it_is_cancelled_does_not_fail_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail_to_clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await fail()

    tasks = Tasks()
    tasks.spawn("messy", fail_to_clean_up())
    other = tasks.spawn("other", asyncio.Event().wait())
    await asyncio.sleep(1)
    await tasks.cancel()
    assert other.cancelled()
    assert [record.getMessage() for record in caplog.records] == ["messy failed"]


async def test_a_loop_that_returns_is_not_started_again() -> None:
    await supervise("once", lambda: asyncio.sleep(1))
    assert now() == pytest.approx(1)


async def test_a_loop_that_breaks_is_started_again_with_growing_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    starts: list[float] = []

    async def break_often() -> None:
        starts.append(now())
        if len(starts) <= 10:
            await fail()

    await supervise("loop", break_often)
    delays = [later - earlier for earlier, later in pairwise(starts)]
    doubled = [min(RESTART_DELAY_S * 2**power, RESTART_DELAY_MAX_S) for power in range(10)]
    assert delays == pytest.approx(doubled)
    assert len(caplog.records) == 10
    assert caplog.records[0].getMessage() == "loop broke; it is started again in 0.05 s"
    assert caplog.records[-1].getMessage() == "loop broke; it is started again in 5.00 s"


async def test_a_loop_that_ran_well_for_long_is_started_again_soon(
    caplog: pytest.LogCaptureFixture,
) -> None:
    starts: list[float] = []

    async def break_late() -> None:
        starts.append(now())
        if len(starts) == 10:
            await asyncio.sleep(2 * RESTART_DELAY_MAX_S)
        if len(starts) < 12:
            await fail()

    await supervise("loop", break_late)
    ran_until = starts[9] + 2 * RESTART_DELAY_MAX_S
    assert starts[10] - ran_until == pytest.approx(RESTART_DELAY_S)
    assert caplog.records[9].getMessage() == "loop broke; it is started again in 0.05 s"


async def test_a_supervised_loop_ends_when_it_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    tasks = Tasks()
    task = tasks.spawn("loop", supervise("loop", lambda: asyncio.Event().wait()))
    await asyncio.sleep(1)
    await tasks.cancel()
    assert task.cancelled()
    assert caplog.records == []
