"""A house in a process of its own, which is asked round by round and says what that took.

Two of them, one under the stopwatch, are asked in turn: what else happens on the machine then hits
both alike. In one process they would be in each other's way, as the functions that the stopwatch
watches are the same objects in both.
"""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from multiprocessing.connection import Connection as Pipe
from struct import pack
from typing import NamedTuple

import uvloop
from costs.asking import Batch, Client, counted, settle_down, spent_us
from costs.bare import Bare
from costs.house import House, contained, house, one_model
from costs.payloads import fresh
from costs.scenario import ROUND_BYTES, Scenario
from costs.seams import STAGES, watching
from costs.stopwatch import Stopwatch

from clipper.core.types import Input
from clipper.rpc.replica import GrpcReplica

WARM_UP = 12
"""Batches before a scenario's first round: their limit has to grow to what is asked at a time."""


class Round(NamedTuple):
    """What one round took; times are of this thread's processor, for one query."""

    whole_us: float
    read_us: float
    """Until a request is there, where nobody looks at it."""
    way_us: float
    """`GrpcReplica.predict` by itself, for batches of the same size; 0 where there were none."""
    batch: float
    """Queries in a batch."""
    spent_us: list[float]
    """By the stopwatch, for each stage; what switching takes is in it."""
    calls: list[float]
    """Of functions of a stage, and by it of others', for one query."""
    made: list[float]


class Subject:
    """The other end of the process."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def ask(self, scenario: Scenario, queries: int) -> Round:
        """One more round."""
        self._pipe.send((scenario, queries))
        answer: Round = self._pipe.recv()
        return answer


@contextmanager
def subject(connections: int, *, is_watched: bool) -> Iterator[Subject]:
    """A process with a house and so many connections to it, until the end of the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, connections, is_watched))
    process.start()
    theirs.close()
    try:
        yield Subject(ours)
    finally:
        ours.close()
        process.join()


def _run(pipe: Pipe, connections: int, is_watched: bool) -> None:
    uvloop.run(_serve(pipe, connections, is_watched))


async def _serve(pipe: Pipe, connections: int, is_watched: bool) -> None:
    async with AsyncExitStack() as stack:
        desk = Desk(stack, is_watched)
        await desk.open(connections)
        while True:
            try:
                scenario, queries = pipe.recv()
            except EOFError:
                return
            pipe.send(await desk.round(scenario, queries))


class Desk:
    """Carries out what is asked for."""

    house: House
    replica: GrpcReplica
    client: Client
    unread: Client

    def __init__(self, stack: AsyncExitStack, is_watched: bool) -> None:
        self._stack = stack
        self._tally = stack.enter_context(counted())
        self._bare = Bare(self._tally)
        self._watch = Stopwatch(len(STAGES))
        self._is_watched = is_watched
        self._scenario: Scenario | None = None
        self._source: Iterator[list[Batch]] = iter(())

    async def open(self, connections: int) -> None:
        """Start everything. uvloop looks callbacks up on connecting: they are watched by then."""
        stack = self._stack
        if self._is_watched:
            stack.enter_context(watching(self._watch))
        self.replica = await stack.enter_async_context(contained())
        self.house = await stack.enter_async_context(house(one_model(), [self.replica]))
        server, port = await self._bare.open()
        stack.callback(server.close)
        self.client = await self._client(self.house.listener.port, connections)
        self.unread = await self._client(port, connections)
        settle_down()

    async def _client(self, port: int, connections: int) -> Client:
        client = Client(self._tally)
        self._stack.callback(client.close)
        await client.connect(port, connections)
        return client

    async def round(self, scenario: Scenario, queries: int) -> Round:
        """Ask, and say what it took."""
        if scenario != self._scenario:
            self._scenario, self._source = scenario, scenario.rounds(queries)
            for _ in range(WARM_UP):
                await self._ask(next(self._source)[:1])
        batches = next(self._source)
        asked, watch = sum(map(len, batches)), self._watch
        before = self._batched()
        watch.reset()
        whole_us = await self._ask(batches)
        figures = (
            [one / asked for one in each[1:]] for each in (watch.spent, watch.calls, watch.made)
        )
        spent, calls, made = figures
        size = self._mean_batch(before)
        return Round(
            whole_us=whole_us,
            read_us=await self._read_us(batches),
            way_us=await self._way_us(scenario.numbers, round(size)) if size else 0.0,
            batch=size,
            spent_us=[one / 1e3 for one in spent],
            calls=calls,
            made=made,
        )

    async def _ask(self, batches: list[Batch]) -> float:
        """None may be answered by default."""
        before = self.house.answered
        spent = await spent_us(self.client, batches)
        missing = sum(map(len, batches)) - (self.house.answered - before)
        if missing:
            raise SystemExit(f"{missing} queries were not answered by a model")
        return spent

    def _batched(self) -> tuple[int, int]:
        stats = self.house.metrics.model(self.replica.id.model)
        return stats.predictions, stats.batches

    def _mean_batch(self, before: tuple[int, int]) -> float:
        queries, batches = (now - then for now, then in zip(self._batched(), before, strict=True))
        return queries / batches if batches else 0.0

    async def _read_us(self, batches: list[Batch]) -> float:
        self._bare.request_bytes = len(batches[0][0])
        self._bare.written_ns = 0
        whole_us = await spent_us(self.unread, batches)
        return whole_us - self._bare.written_ns / 1e3 / sum(map(len, batches))

    async def _way_us(self, numbers: int, size: int) -> float:
        rest = b"\0" * 4 * (numbers - 1)
        repeats = max(3, min(500 // size, ROUND_BYTES // (4 * numbers * size)))
        batches = [[Input(pack("<f", fresh()) + rest) for _ in range(size)] for _ in range(repeats)]
        began = time.thread_time_ns()
        for batch in batches:
            await self.replica.predict(batch)
        return (time.thread_time_ns() - began) / 1e3 / (repeats * size)
