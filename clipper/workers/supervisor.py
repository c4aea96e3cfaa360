"""The workers' lives: each is started, watched, and replaced when it ends.

To the daemon this is the query listener: it holds the listening sockets, of which each worker has
its own. Whatever waits in the queue of one that ends, another takes until its successor has begun.
"""

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from clipper.core.errors import ClipperError
from clipper.core.tasks import Tasks
from clipper.workers.channel import Channel
from clipper.workers.crew import Crew, Worker
from clipper.workers.messages import ToMain
from clipper.workers.sockets import close_all, listen

log = logging.getLogger(__name__)

START_S = 30.0
"""How long the daemon's start waits for its workers; what hinders them is in the log by then."""
STARTING_TICKS = 60
SILENT_TICKS = 5
"""A worker that says nothing for so many seconds hangs. What is counted is our own ticks: when it
is this process that was held up, everybody gets another chance."""
TICK_S = 1.0
EXIT_GRACE_S = 2.0
"""How long a worker whose channel is closed may take to end."""
SETTLED_S = 10.0
BACKOFF_S = 0.1
BACKOFF_MAX_S = 5.0


class Process(Protocol):
    """One life of a worker."""

    @property
    def pid(self) -> int:
        """Its number among all processes."""

    async def channel(self) -> Channel[ToMain]:
        """Our end of the channel to it."""

    async def ended(self) -> str:
        """Return when it has ended; how, in a few words."""

    def kill(self) -> None:
        """SIGKILL, if it still runs."""

    def bury(self) -> None:
        """It has ended: let go of what is left of it."""


Launch = Callable[[int, Sequence[int]], Process]
"""(number, descriptors to inherit) -> a process that has begun; raises OSError."""
Sockets = dict[int, list[int]]
"""Descriptors, by place."""
Answer = Callable[[Worker, Sockets, ToMain], Any]


class Supervisor:
    """Keeps as many workers alive as the crew has places."""

    def __init__(
        self,
        address: tuple[str, int],
        drain_s: float,
        crew: Crew,
        launch: Launch,
        answer: Answer,
    ) -> None:
        self.host, self.port = address
        self._drain_s = drain_s
        self._crew = crew
        self._launch = launch
        self._answer = answer
        self._sockets: dict[int, list[socket.socket]] = {}
        """By place, from 1."""
        self._ids = itertools.count(1)
        self._is_ending = asyncio.Event()
        self._places: list[asyncio.Task[None]] = []
        self._tasks = Tasks()
        self._draining: asyncio.Task[None] | None = None

    async def bind(self) -> None:
        """Take the address; connections wait until a worker takes them.

        Raises:
            OSError: the address is taken, or not ours.
        """
        lists = await listen(self.host, self.port, self._crew.size)
        self._sockets = dict(enumerate(lists, 1))
        self.port = lists[0][0].getsockname()[1]

    async def start(self) -> None:
        """Return when every worker answers queries, or something hinders them."""
        for number in self._sockets:
            self._places.append(self._tasks.spawn(f"worker {number}", self._keep(number)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._crew.all_serve()

    def refuse(self) -> None:
        """Accept no connection from now on; those that are open are asked to end."""
        self._is_ending.set()
        close_all(self._sockets.values())
        self._draining = self._tasks.spawn("drain", self._crew.drain(self._drain_s))

    async def drain(self) -> None:
        """Return when every worker has answered what it admitted."""
        if self._draining is not None:
            await asyncio.wait((self._draining,))

    async def close(self) -> None:
        """Return when no worker is left."""
        self._is_ending.set()
        if self._places:
            await asyncio.wait(self._places, timeout=EXIT_GRACE_S)
        await self._tasks.cancel()
        close_all(self._sockets.values())

    async def _keep(self, number: int) -> None:
        """One life after another."""
        now = asyncio.get_running_loop().time
        delay_s = 0.0
        while not self._is_ending.is_set():
            began = now()
            try:
                how = await self._live(number)
            except (OSError, ClipperError) as error:
                how = f"could not be started: {error}"
            if now() - began > SETTLED_S:
                delay_s = 0.0
            if not self._is_ending.is_set():
                self._crew.restarts += 1
                extra = {"action": "worker_replaced", "worker": number}
                log.error("Worker %d %s; another is started", number, how, extra=extra)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._is_ending.wait(), delay_s)
            delay_s = min(max(2 * delay_s, BACKOFF_S), BACKOFF_MAX_S)

    async def _live(self, number: int) -> str:
        """Start a worker and stay with it until it ends; returns how it did."""
        inherited = {
            place: [one.fileno() for one in sockets] for place, sockets in self._sockets.items()
        }
        process = self._launch(number, list(itertools.chain(*inherited.values())))
        tasks = Tasks()
        ended = tasks.spawn(f"watch worker {number}", process.ended(), is_awaited=True)
        worker = None
        try:
            worker = Worker(next(self._ids), number, await process.channel())
            answer = partial(self._hear, worker, inherited)
            name = f"hear worker {number}"
            hearing = tasks.spawn(name, worker.channel.run(answer), is_awaited=True)
            silent = tasks.spawn(f"miss worker {number}", self._silent(worker), is_awaited=True)
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait((ended, hearing, silent), return_when=first)
            if hearing.done():
                await asyncio.wait((ended,), timeout=EXIT_GRACE_S)
            is_silent = not ended.done()
            process.kill()
            await asyncio.wait((ended,))
            await asyncio.wait((hearing,), timeout=EXIT_GRACE_S)  # what it said last counts
            return "did not answer and was killed" if is_silent else ended.result()
        finally:
            process.kill()
            await asyncio.wait((ended,))
            await tasks.cancel()
            process.bury()
            if worker is not None:
                self._crew.leave(worker)

    async def _hear(self, worker: Worker, sockets: Sockets, message: ToMain) -> Any:
        worker.is_heard = True
        return await self._answer(worker, sockets, message)

    async def _silent(self, worker: Worker) -> None:
        """Return when a worker has said nothing for too long."""
        left = STARTING_TICKS
        while left:
            await asyncio.sleep(TICK_S)
            left -= 1
            if worker.is_heard:
                worker.is_heard, left = False, SILENT_TICKS
