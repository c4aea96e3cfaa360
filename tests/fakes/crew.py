"""A whole crew in one process and in virtual time: the real services, the real workers' lives.

Between them are channels that are nothing but memory; replicas and containers are those of `World`.
"""

import asyncio
from collections.abc import Collection
from typing import Any

from clipper.core.settings import Settings
from clipper.core.tasks import Tasks
from clipper.core.types import Input
from clipper.serving.engine import Bounds
from clipper.serving.query import Query
from clipper.state.memory import Memory, MemoryStore
from clipper.workers.channel import Channel
from clipper.workers.crew import Crew, Worker
from clipper.workers.desk import Desk
from clipper.workers.life import Life
from clipper.workers.messages import Join, ToMain, ToWorker, Welcome
from tests.fakes.predicting import Question
from tests.fakes.world import World


class Pipe:
    """What one end of a channel writes, the other reads."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.is_held = False
        """While true, what is written stays on the way."""
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Written."""
        if self.is_held:
            self._held.append(data)
        elif not self._reader.at_eof():
            self._reader.feed_data(data)

    def release(self) -> None:
        """What was on the way arrives."""
        self.is_held = False
        for data in self._held:
            self.write(data)
        self._held.clear()

    def close(self) -> None:
        """The other side reads the end."""
        self._reader.feed_eof()


def channels(one: Any, other: Any) -> tuple[Channel[Any], Channel[Any], Pipe, Pipe]:
    """Two ends, by the messages that come in there; and the pipes into which each writes."""
    readers = asyncio.StreamReader(), asyncio.StreamReader()
    pipes = Pipe(readers[1]), Pipe(readers[0])
    ends = Channel[Any](readers[0], pipes[0], one), Channel[Any](readers[1], pipes[1], other)
    return (*ends, *pipes)


class FakeListener:
    """Lets nobody in."""

    is_serving = False
    covered: Collection[int] = ()

    async def cover(self, places: Collection[int]) -> None:
        """In these places as well."""
        self.covered = places

    async def start(self) -> None:
        """From now on."""
        self.is_serving = True

    def shut(self) -> None:
        """Not any more."""
        self.is_serving = False

    def refuse(self) -> None:
        """Not any more; nobody is in."""
        self.is_serving = False

    async def drain(self) -> None:
        """There are no connections."""


class Colleague:
    """One worker, from both sides."""

    def __init__(self, crew: "CrewWorld", number: int) -> None:
        ends = channels(ToMain, ToWorker)
        self.main_end, self.own_end, self.to_worker, self.to_main = ends
        self.worker = Worker(next(crew.ids), number, self.main_end)
        store = MemoryStore(crew.memory)
        self.life = Life(self.own_end, store, crew.replicas.connect, Bounds())
        self.listener = FakeListener()
        self.tasks = Tasks()
        self._crew = crew

    async def start(self) -> None:
        """Join, and serve."""
        self.tasks.spawn("hear", self._hear(), is_awaited=True)
        welcome = await self.own_end.first(Join(), Welcome)
        running = self.life.run(welcome, self.listener)
        self.running = self.tasks.spawn("live", running, is_awaited=True)
        await asyncio.sleep(0.01)

    async def _hear(self) -> None:
        async def answer(message: ToMain) -> Any:
            return await self._crew.desk.answer(self.worker, {}, message)

        try:
            await self.main_end.run(answer)
        finally:
            self._crew.crew.leave(self.worker)

    async def die(self) -> None:
        """As by kill -9: nothing more is said."""
        self.to_main.close()
        self.to_worker.close()
        await self.tasks.cancel()
        await self.life.close()

    def ask(self, data: bytes = b"1", app: str = "a", context: str = "") -> Question:
        """A query to this worker."""
        predictor = self.life.engine.predictor
        route, now = predictor.snapshot[app], predictor.now()
        replies: list[Query] = []
        query = Query(route, Input(data), now, now + route.slo_s, replies.append, context=context)
        predictor.submit(query)
        return Question(query, replies)


class CrewWorld(World):
    """A main process with as many workers as wanted."""

    def __init__(self, size: int = 2) -> None:
        self.memory = Memory()
        self.crew = Crew(size)
        super().__init__(MemoryStore(self.memory), workforce=self.crew)
        self.desk = Desk(self.crew, self.services, Settings())
        self.ids = iter(range(1, 1000))
        self.workers: list[Colleague] = []

    async def begin(self) -> None:
        """Everything runs."""
        await self.start()
        for number in range(1, self.crew.size + 1):
            await self.hire(number)

    async def hire(self, number: int) -> Colleague:
        """A new worker in this place."""
        worker = Colleague(self, number)
        await worker.start()
        self.workers.append(worker)
        return worker

    async def end(self) -> None:
        """As at the end of the daemon."""
        await self.services.close()
        await asyncio.sleep(0.01)
        for worker in self.workers:
            await worker.tasks.cancel()
            await worker.life.close()
