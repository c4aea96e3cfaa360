"""The channel: every call gets its answer, an error of ours stays what it is, nobody waits long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from clipper.core.errors import (
    AlreadyExists,
    ClipperError,
    InvalidInput,
    QueueFull,
    ReplicaFailed,
    StateError,
    Unanswered,
    UnknownQuery,
)
from clipper.core.tasks import Tasks
from clipper.workers.channel import Channel
from clipper.workers.messages import Drain, Drop, Judge, Tell, ToWorker, Withdraw
from tests.fakes.crew import Pipe, channels

pytestmark = pytest.mark.looptime

Answer = Callable[[Any], Awaitable[Any]]


class Pair:
    """A channel between two who answer as the test says."""

    def __init__(self, answer: Answer) -> None:
        self.one: Channel[Any]
        self.other: Channel[Any]
        self.to_other: Pipe
        self.one, self.other, self.to_other, self.to_one = channels(ToWorker, ToWorker)
        self.tasks = Tasks()
        self.running = [
            self.tasks.spawn("run", end.run(answer), is_awaited=True)
            for end in (self.one, self.other)
        ]


async def echo(message: Any) -> Any:
    """What was said, in other words."""
    match message:
        case Judge(_, _, label, _):
            return label
        case Withdraw(life):
            await asyncio.sleep(life)
            return life
        case _:
            return None


@pytest.mark.parametrize("value", [1, "x\n\u2028y", None, [1.5, {"a": []}], 10**400, -(2**70)])
async def test_any_json_value_comes_through_as_it_is(value: Any) -> None:
    pair = Pair(echo)
    assert await pair.one.call(Judge("a", 1, value, None), 1.0, Any) == value
    assert await pair.other.call(Judge("a", 1, value, "c"), 1.0, Any) == value
    await pair.tasks.cancel()


async def test_answers_may_come_in_another_order() -> None:
    pair = Pair(echo)
    calls = [pair.one.call(Withdraw(life), 10.0, int) for life in (3, 1, 2)]
    assert await asyncio.gather(*calls) == [3, 1, 2]
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)
    await pair.tasks.cancel()


async def test_messages_are_begun_in_the_order_in_which_they_were_sent() -> None:
    begun: list[int] = []

    async def note(message: Any) -> None:
        begun.append(message.life)
        await asyncio.sleep(10 - message.life)

    pair = Pair(note)
    calls = [pair.one.call(Withdraw(life), 20.0, type(None)) for life in range(5)]
    pair.one.tell(Withdraw(5))
    await asyncio.gather(*calls)
    assert begun == list(range(6))
    await pair.tasks.cancel()


@pytest.mark.parametrize(
    "kind", [UnknownQuery, InvalidInput, StateError, ReplicaFailed, AlreadyExists, QueueFull]
)
async def test_an_error_of_ours_is_raised_where_it_was_called(kind: type[ClipperError]) -> None:
    async def refuse(_message: Any) -> None:
        raise kind("it is so", hint="do this")

    pair = Pair(refuse)
    with pytest.raises(kind, match="it is so") as caught:
        await pair.one.call(Tell(), 1.0, Any)
    assert type(caught.value) is kind
    assert caught.value.hint == "do this"
    await pair.tasks.cancel()


async def test_what_nobody_foresaw_is_logged_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def break_once(message: Any) -> None:
        if isinstance(message, Tell):
            raise ZeroDivisionError

    pair = Pair(break_once)
    with pytest.raises(ClipperError, match="Something went wrong"):
        await pair.one.call(Tell(), 1.0, Any)
    assert "Tell could not be answered" in caplog.text
    await pair.one.call(Drop("a", "b"), 1.0, type(None))
    await pair.tasks.cancel()


async def test_who_is_silent_is_waited_for_so_long_and_its_late_answer_ignored() -> None:
    pair = Pair(echo)
    with pytest.raises(Unanswered, match="Withdraw was not answered within 2 s"):
        await pair.one.call(Withdraw(5), 2.0, int)
    await asyncio.sleep(10)
    assert await pair.one.call(Withdraw(1), 2.0, int) == 1
    await pair.tasks.cancel()


async def test_when_the_other_side_is_gone_everybody_who_waits_is_told() -> None:
    pair = Pair(echo)
    calls = [asyncio.gather(pair.one.call(Withdraw(9), 60.0, int)) for _ in range(3)]
    await asyncio.sleep(1)
    pair.to_one.close()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unanswered] * 3
    assert pair.running[0].done()
    assert pair.one.is_over
    with pytest.raises(Unanswered):
        await pair.one.call(Tell(), 60.0, Any)
    pair.one.tell(Tell())
    assert asyncio.get_running_loop().time() < 2
    await pair.tasks.cancel()


async def test_answers_under_way_end_with_the_channel() -> None:
    ended: list[str] = []

    async def wait(_message: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("ended")

    pair = Pair(wait)
    pair.one.tell(Drain(1.0))
    await asyncio.sleep(1)
    pair.to_other.close()
    await asyncio.sleep(1)
    assert ended == ["ended"]
    await pair.tasks.cancel()


async def test_the_first_call_is_answered_before_anything_else_is_looked_at() -> None:
    one, other, *_ = channels(ToWorker, ToWorker)
    tasks, heard = Tasks(), []

    async def answer(message: Any) -> Any:
        heard.append(message)
        return ["welcome"]

    tasks.spawn("run", other.run(answer), is_awaited=True)
    greeting = tasks.spawn("greet", one.first(Tell(), list[str]), is_awaited=True)
    assert await greeting == ["welcome"]
    other.tell(Drop("a", "b"))
    await asyncio.sleep(1)
    running = tasks.spawn("run", one.run(answer), is_awaited=True)
    await asyncio.sleep(1)
    assert heard == [Tell(), Drop("a", "b")]
    assert not running.done()
    await tasks.cancel()


async def test_a_first_call_to_somebody_who_is_gone_is_not_answered() -> None:
    one, _, _, to_one = channels(ToWorker, ToWorker)
    to_one.close()
    with pytest.raises(Unanswered):
        await one.first(Tell(), Any)
