"""Time is charged to the stage in which it goes by, and to no other."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from costs.stopwatch import Stopwatch

OUTER, INNER = 1, 2


class Clock:
    """Goes on by what it is told."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def spend(self, ns: int) -> None:
        self.now_ns += ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Stopwatch:
    return Stopwatch(2, clock)


def test_a_stage_is_charged_without_those_that_it_calls(watch: Stopwatch, clock: Clock) -> None:
    inner = watch.watched(lambda: clock.spend(5), INNER)

    def call() -> None:
        clock.spend(1)
        inner()
        inner()
        clock.spend(2)

    watch.watched(call, OUTER)()
    clock.spend(100)
    assert watch.spent[1:] == [3, 10]
    assert watch.calls[1:] == [1, 2]
    assert watch.made[1:] == [2, 0]


def test_a_stage_that_raises_ends_like_any_other(watch: Stopwatch, clock: Clock) -> None:
    def fail() -> None:
        clock.spend(5)
        raise ValueError("no")

    inner = watch.watched(fail, INNER)

    def call() -> None:
        with pytest.raises(ValueError, match="no"):
            inner()
        clock.spend(1)

    watch.watched(call, OUTER)()
    assert watch.spent[1:] == [1, 5]


async def test_a_coroutine_is_not_charged_while_it_waits(watch: Stopwatch, clock: Clock) -> None:
    async def wait(come: "asyncio.Future[str]") -> str:
        clock.spend(1)
        came = await come
        clock.spend(2)
        return came

    come: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(watched_steps(watch, wait)(come))
    await asyncio.sleep(0)
    clock.spend(100)
    come.set_result("here")
    assert await waiting == "here"
    assert watch.spent[OUTER] == 3


async def test_what_a_coroutine_is_thrown_arrives_in_it(watch: Stopwatch) -> None:
    async def wait() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "cancelled"
        return "never"

    waiting = asyncio.create_task(watched_steps(watch, wait)())
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting == "cancelled"


def watched_steps(watch: Stopwatch, call: Callable[..., Any]) -> Callable[..., Any]:
    return watch.watched_steps(call, OUTER)
