"""A protocol that answers without a look at what it is asked: what reading costs by itself.

It does answer, because a kernel that has none to send along acknowledges what came by itself. Its
writing is timed, to be taken off.
"""

import asyncio
import time
from typing import cast

from costs.asking import Tally

ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    b"content-type: application/json\r\ncontent-length: 89\r\n\r\n%b" % (b" " * 89)
)
"""About as long as an answer of ours."""


class Bare:
    """What its connections share."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.request_bytes = 0
        """Of every request; whoever asks sets it."""
        self.written_ns = 0
        """Time that went into writing."""

    async def open(self) -> tuple[asyncio.Server, int]:
        """A server on loopback, and its port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: BareConnection(self), "127.0.0.1", 0)
        return server, server.sockets[0].getsockname()[1]


class BareConnection(asyncio.Protocol):
    """Counts bytes, and answers when a request's are there."""

    def __init__(self, bare: Bare) -> None:
        self._bare = bare
        self._have = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self._have += len(data)
        if self._have >= self._bare.request_bytes and self._transport is not None:
            self._have = 0
            began = time.perf_counter_ns()
            self._transport.write(ANSWER)
            self._bare.written_ns += time.perf_counter_ns() - began
            self._bare.tally.count()
