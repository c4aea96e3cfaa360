"""The lane: a second way in for batches, for a daemon on the same machine.

gRPC's machinery takes a quarter of a millisecond of each side's processor for a batch, however
small. On the lane the same messages travel bare over a unix socket beside the container's own:
their length, four bytes, little-endian, and the message. The first message is the token; each that
follows is a `Batch`, answered in turn by a `BatchResult`.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable
from pathlib import Path
from struct import Struct

from clipper_container.listening import SOCKET_PATH_BYTES
from clipper_container.predictor import NotABatch

log = logging.getLogger(__name__)

LENGTH = Struct("<I")
MAX_TOKEN_BYTES = 1024
SMALL_BYTES = 1 << 16
"""Messages of this size are read without another allocation, and several at a time."""


def lane_path(listen: str) -> str:
    """Where the lane of a container is that listens there; empty where it has none."""
    path = f"{listen.removeprefix('unix:')}.lane"
    has_one = listen.startswith("unix:") and len(path.encode()) <= SOCKET_PATH_BYTES
    return path if has_one else ""


class LaneServer:
    """Listens at a path of its own, from `open` to `close`."""

    def __init__(
        self, path: str, answer: Callable[[bytes], bytes], token: str, max_bytes: int
    ) -> None:
        """`answer` makes a result of a batch, or raises NotABatch."""
        self.path = path
        self.answer = answer
        self.token = token.encode()
        self.max_bytes = max_bytes
        self.callers: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Let callers in; a process that has gone may have left its socket."""
        Path(self.path).unlink(missing_ok=True)  # noqa: ASYNC240 -- nothing else runs yet
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Lane(self), self.path)

    def close(self) -> None:
        """Let go of all callers; what was answered still reaches them."""
        if self._server is not None:
            self._server.close()
            Path(self.path).unlink(missing_ok=True)
        for caller in self.callers:
            caller.close()


class Lane(asyncio.BufferedProtocol):
    """One caller's connection.

    What comes is read into a buffer that stays. asyncio would allocate 256 KiB for every read of an
    ordinary protocol, and the system clear the pages, which takes as long as a small batch does.
    """

    def __init__(self, server: LaneServer) -> None:
        self._server = server
        self._is_known = False
        self._buffer = bytearray(SMALL_BYTES)
        self._have = 0
        """Bytes in the buffer, from the length of a message on."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.callers.add(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._have :]

    def buffer_updated(self, nbytes: int) -> None:
        self._have += nbytes
        at = 0
        while self._transport is not None and self._have - at >= LENGTH.size:
            (size,) = LENGTH.unpack_from(self._buffer, at)
            end = at + LENGTH.size + size
            if size > (self._server.max_bytes if self._is_known else MAX_TOKEN_BYTES):
                self._hang_up(f"a message of {size} bytes")
            elif end > self._have:
                self._make_room(at, end - at)
                return
            else:
                self._handle(bytes(memoryview(self._buffer)[at + LENGTH.size : end]))
                at = end
        self._make_room(at, SMALL_BYTES)

    def _make_room(self, at: int, size: int) -> None:
        """Begin the buffer with what is there from `at` on, large enough for a message."""
        rest = self._have - at
        if size > len(self._buffer) or len(self._buffer) > SMALL_BYTES >= size:
            grown = bytearray(size)
            grown[:rest] = memoryview(self._buffer)[at : self._have]
            self._buffer = grown
        elif at and rest:
            self._buffer[:rest] = self._buffer[at : self._have]
        self._have = rest

    def _handle(self, message: bytes) -> None:
        assert self._transport is not None
        if not self._is_known:
            self._is_known = hmac.compare_digest(message, self._server.token)
            if not self._is_known:
                self._hang_up("another token")
            return
        try:
            result = self._server.answer(message)
        except NotABatch:
            self._hang_up("a message that is no batch")
            return
        self._transport.write(LENGTH.pack(len(result)) + result)

    def _hang_up(self, cause: str) -> None:
        log.warning("A caller on the lane sent %s, and is hung up on", cause)
        assert self._transport is not None
        self._transport.abort()
        self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()

    def _forget(self) -> None:
        if self._transport is not None:
            self._server.callers.discard(self._transport)
            self._transport = None
