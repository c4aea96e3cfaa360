"""A client in the same thread, whose own work is left out of what it measures.

It sends requests on connections of its own, lets the event loop run until all are answered, and
reads the answers. The thread's processor time while the loop runs goes to the daemon's code, to
uvloop, and to the kernel on the daemon's side of the connections, whatever else the machine does.
"""

import asyncio
import gc
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from clipper.frontend.protocol import Connection

Batch = Sequence[bytes]
"""Requests to be sent at a time, each on a connection of its own."""
BUFFER_BYTES = 1 << 20


class Tally:
    """Counts answers as they are written, for whoever awaits a number of them."""

    def __init__(self) -> None:
        self._missing = 0
        self._all: asyncio.Future[None] | None = None

    def expect(self, count: int) -> "asyncio.Future[None]":
        """Done when so many more are written."""
        self._missing = count
        self._all = asyncio.get_running_loop().create_future()
        return self._all

    def count(self) -> None:
        """One was written."""
        self._missing -= 1
        if not self._missing and self._all is not None:
            self._all.set_result(None)


class Client:
    """Connections to one port of ours; the loop that serves them is the one that runs this."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._sockets: list[socket.socket] = []
        self._turn = 0

    async def connect(self, port: int, connections: int) -> None:
        """Open more connections."""
        for _ in range(connections):
            one = socket.create_connection(("127.0.0.1", port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            one.setblocking(False)
            self._sockets.append(one)
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)  # the listener has accepted them all

    async def ask(self, batch: Batch) -> int:
        """Have a batch answered; returns the processor time that took, in ns."""
        sockets = self._next(len(batch))
        for one, request in zip(sockets, batch, strict=True):
            if one.send(request) != len(request):
                raise SystemExit(f"a request of {len(request)} bytes does not fit into a socket")
        began = time.thread_time_ns()
        await self._tally.expect(len(batch))
        spent = time.thread_time_ns() - began
        for one in sockets:
            spent += await self._receive(one)
        return spent

    def _next(self, count: int) -> list[socket.socket]:
        """Those whose turn it is."""
        first = self._turn
        self._turn = (first + count) % len(self._sockets)
        if first + count <= len(self._sockets):
            return self._sockets[first : first + count]
        return self._sockets[first:] + self._sockets[: self._turn]

    async def _receive(self, one: socket.socket) -> int:
        """Read an answer; returns the processor time until it was there."""
        began = time.thread_time_ns()
        spent = 0
        while True:
            try:
                if not one.recv(65_536):
                    raise SystemExit("the daemon has hung up")
                return spent
            except BlockingIOError:  # the loop has not yet sent what was written
                await asyncio.sleep(0)
                spent = time.thread_time_ns() - began

    def close(self) -> None:
        """Hang up."""
        for one in self._sockets:
            one.close()


@contextmanager
def counted() -> Iterator[Tally]:
    """Have every answer of the fast path counted."""
    tally = Tally()
    plain = Connection._respond

    def respond(self: Connection, status: int, body: bytes) -> None:
        plain(self, status, body)
        tally.count()

    with patch.object(Connection, "_respond", respond):
        yield tally


async def spent_us(client: Client, batches: Sequence[Batch]) -> float:
    """Processor time for each of the requests."""
    spent = 0
    for batch in batches:
        spent += await client.ask(batch)
    return spent / 1e3 / sum(map(len, batches))


def settle_down() -> None:
    """Treat garbage as the daemon does: what is there stays, and collections are few."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
