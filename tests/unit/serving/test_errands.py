"""Feedback about queries that another daemon on the same store has answered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random
from typing import Any, NoReturn
from unittest.mock import AsyncMock

import pytest

from clipper.core.errors import InvalidInput, Overloaded, Unanswered, UnknownQuery
from clipper.core.tasks import Tasks
from clipper.serving.errands import ABANDONED_S, AT_ONCE, PATIENCE_S, RESULT_S, Errands
from clipper.state.memory import Memory, MemoryStore
from tests.fakes.predicting import Rig, application, configuration

pytestmark = pytest.mark.looptime

FIRST_IDS = {"one": 0, "other": 1000}
CONFIG = configuration([application("a", "m", policy="exp3", loss="absolute")], ["m:1"])


class Shared(MemoryStore):
    """One that other daemons may be on."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.url = "redis://127.0.0.1/0"


class Daemon:
    """Predicts, learns, and looks for errands."""

    def __init__(self, store: MemoryStore) -> None:
        self.rig = Rig(store)
        feedback = self.rig.feedback
        self.errands = Errands(store, feedback.remembers, self.teach, Random(id(self)))
        feedback.elsewhere = self.errands.send
        self.is_there = True
        self.lesson_s = 0.0

    async def teach(self, app: str, query_id: int, label: Any, context: str | None) -> bool:
        await asyncio.sleep(self.lesson_s)
        return await self.rig.feedback.by_query_here(app, query_id, label, context)

    async def follow(self) -> NoReturn:
        while True:
            await asyncio.sleep(0.04)
            if self.is_there:
                self.errands.notice(await self.rig.states.refresh())

    async def ask(self, number: int) -> int:
        question = self.rig.ask(b"0.%d" % number)
        await asyncio.sleep(0.05)
        return question.answer.id


@pytest.fixture
def memory() -> Memory:
    return Memory()


@contextlib.asynccontextmanager
async def two(memory: Memory) -> AsyncIterator[tuple[Daemon, Daemon]]:
    """Two daemons on one store, for as long as the context lasts."""
    tasks, daemons = Tasks(), []
    for first_id in FIRST_IDS.values():
        store = Shared(memory)
        await store.open()
        daemon = Daemon(store)
        daemon.rig.serve(CONFIG)
        daemon.rig.predictor._ids.next = first_id
        await daemon.rig.start("m:1")
        tasks.spawn("follow", daemon.follow())
        daemons.append(daemon)
    await asyncio.sleep(0.1)
    yield daemons[0], daemons[1]
    await tasks.cancel()
    for daemon in daemons:
        await daemon.errands.close()
        await daemon.rig.close()


async def judged(daemon: Daemon) -> int:
    state = await daemon.rig.feedback.state("a", "0")
    return int(state.pulls.get("m:1", 0))


async def test_a_query_that_another_daemon_has_answered_is_learned_from_once(
    memory: Memory,
) -> None:
    async with two(memory) as pair:
        one, other = pair
        ids = [await one.ask(number) for number in range(5)]
        tell = other.rig.feedback.by_query
        assert all(await asyncio.gather(*[tell("a", query_id, 0.5, None) for query_id in ids]))
        assert not any(await asyncio.gather(*[tell("a", query_id, 0.5, None) for query_id in ids]))
        assert not await one.rig.feedback.by_query("a", ids[0], 0.5, None)
        await asyncio.sleep(0.1)
        assert [await judged(daemon) for daemon in pair] == [5, 5]


async def test_what_is_wrong_with_the_label_is_said_by_whoever_knows_the_query(
    memory: Memory,
) -> None:
    async with two(memory) as (one, other):
        query_id = await one.ask(1)
        with pytest.raises(InvalidInput, match="'x' is not a number"):
            await other.rig.feedback.by_query("a", query_id, "x", None)
        assert await other.rig.feedback.by_query("a", query_id, 0.5, None)


async def test_what_nobody_knows_is_unknown_after_a_while(memory: Memory) -> None:
    async with two(memory) as (one, other):
        query_id = await one.ask(1)
        one.is_there = False
        now = asyncio.get_running_loop().time
        for unknown in (query_id, 7, 10**12):
            began = now()
            with pytest.raises(UnknownQuery):
                await other.rig.feedback.by_query("a", unknown, 0.5, None)
            assert now() - began == pytest.approx(PATIENCE_S, abs=0.05)
        one.is_there = True
        await asyncio.sleep(0.1)
        assert await other.rig.feedback.by_query("a", query_id, 0.5, None)


async def test_of_many_at_once_none_is_lost_beside_many_that_nobody_knows(memory: Memory) -> None:
    async with two(memory) as (one, other):
        tell = other.rig.feedback.by_query
        ids = [await one.ask(number) for number in range(9)]
        asked = [one.rig.ask(b"0.%d" % number).query for number in range(10, 300)]
        await asyncio.sleep(0.09)
        ids += [query.id for query in asked]
        unknown = range(5000, 5300)
        mixed = [query_id for pair in zip(ids, unknown, strict=False) for query_id in pair]
        told = [tell("a", query_id, 0.5, None) for query_id in mixed]
        outcomes = await asyncio.gather(*told, return_exceptions=True)
        assert outcomes[::2] == [True] * len(ids)
        assert {type(outcome) for outcome in outcomes[1::2]} == {UnknownQuery}
        assert await judged(one) == len(ids)
        kept = [key for key in memory.cells if key.startswith("errand/")]
        assert len(kept) <= AT_ONCE


async def test_a_lesson_that_takes_long_is_waited_for(memory: Memory) -> None:
    async with two(memory) as (one, other):
        query_id = await one.ask(1)
        one.lesson_s = 10 * PATIENCE_S
        assert await other.rig.feedback.by_query("a", query_id, 0.5, None)
        query_id = await one.ask(2)
        one.lesson_s = 2 * RESULT_S
        with pytest.raises(Unanswered, match="does not say what it has learned"):
            await other.rig.feedback.by_query("a", query_id, 0.5, None)


async def test_what_is_too_large_to_be_handed_on_is_refused(memory: Memory) -> None:
    async with two(memory) as (one, other):
        query_id = await one.ask(1)
        with pytest.raises(InvalidInput, match="too large to be handed on"):
            await other.rig.feedback.by_query("a", query_id, [0.5] * 100_000, None)
        assert not memory.cells


async def test_what_was_abandoned_is_in_nobodys_way(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(memory) as (one, other):
        query_id = await one.ask(1)
        monkeypatch.setattr("clipper.serving.errands.CELLS", 1)
        clock = [3600.0]
        monkeypatch.setattr("clipper.serving.errands.utc_now", lambda: clock[0])
        async with two(memory) as (_, third):
            sending = asyncio.create_task(third.errands.send("a", 1, 0.5, None))
            await asyncio.sleep(0.01)
            monkeypatch.setattr(third.errands, "_leave", AsyncMock())
        with pytest.raises(asyncio.CancelledError):
            await sending
        clock[0] += ABANDONED_S / 2
        with pytest.raises(Overloaded):
            await other.rig.feedback.by_query("a", query_id, 0.5, None)
        clock[0] += ABANDONED_S
        assert await other.rig.feedback.by_query("a", query_id, 0.5, None)


async def test_where_no_other_daemon_can_be_nobody_is_asked(memory: Memory) -> None:
    store = MemoryStore(memory)
    await store.open()
    daemon = Daemon(store)
    daemon.rig.serve(CONFIG)
    began = asyncio.get_running_loop().time()
    with pytest.raises(UnknownQuery):
        await daemon.rig.feedback.by_query("a", 7, 0.5, None)
    assert asyncio.get_running_loop().time() == began
    assert memory.cells == {}
    await daemon.rig.close()
