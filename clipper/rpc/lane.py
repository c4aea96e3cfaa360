"""Batches over a lane: the same messages as on a gRPC stream, bare, over a unix socket.

A container on the same machine may offer one (`Description.lane` of the proto says how it goes).
What gRPC's machinery costs each side for a batch, however small, is several times what everything
else costs, and its threads and the event loop hand each batch to and fro.
"""

import asyncio
from struct import Struct

from google.protobuf.message import DecodeError

from clipper.core.errors import ReplicaFailed
from clipper.core.types import ReplicaId
from clipper.rpc.model_pb2 import BatchResult

LENGTH = Struct("<I")


class Lane(asyncio.Protocol):
    """A connection to a container's lane."""

    def __init__(self, replica: ReplicaId) -> None:
        loop = asyncio.get_running_loop()
        self._replica = replica
        self._transport: asyncio.WriteTransport | None = None
        self._pieces: list[bytes] = []
        self._have, self._need = 0, LENGTH.size
        self._awaited: asyncio.Future[BatchResult] | None = None
        self._lost: asyncio.Future[None] = loop.create_future()

    @classmethod
    async def open(cls, replica: ReplicaId, path: str, token: str) -> "Lane":
        """Connect, and show the token.

        Raises:
            ReplicaFailed: nobody listens there.
        """
        loop = asyncio.get_running_loop()
        try:
            transport, lane = await loop.create_unix_connection(lambda: cls(replica), path)
        except OSError as error:
            raise ReplicaFailed(f"The lane of {replica} cannot be entered: {error}") from error
        shown = token.encode()
        transport.write(LENGTH.pack(len(shown)) + shown)
        lane._transport = transport
        return lane

    async def exchange(self, batch: bytes) -> BatchResult:
        """Send a batch, await its result.

        Raises:
            ReplicaFailed: the connection broke, or what came is no result.
        """
        if self._lost.done() or self._transport is None:
            raise self._broken_off()
        self._awaited = asyncio.get_running_loop().create_future()
        self._transport.write(LENGTH.pack(len(batch)) + batch)
        return await self._awaited

    def data_received(self, data: bytes) -> None:
        """A piece of a result; there is one for each batch, and one batch at a time."""
        if not self._pieces and is_whole(data):  # as a rule it is
            self._take(memoryview(data)[LENGTH.size :])
            return
        self._pieces.append(data)
        self._have += len(data)
        if self._need == LENGTH.size <= self._have:
            self._need += LENGTH.unpack_from(b"".join(self._pieces))[0]
        if self._have >= self._need > LENGTH.size:
            message = memoryview(b"".join(self._pieces))[LENGTH.size :]
            self._pieces, self._have, self._need = [], 0, LENGTH.size
            self._take(message)

    def _take(self, message: memoryview) -> None:
        assert self._transport is not None
        try:
            result = BatchResult.FromString(message)  # type: ignore[arg-type]
        except DecodeError:
            self._transport.abort()
            return
        if self._awaited is None:  # nothing was asked
            self._transport.abort()
        elif not self._awaited.done():
            self._awaited.set_result(result)
        self._awaited = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The container has gone, or has sent what is none of its business."""
        if not self._lost.done():
            self._lost.set_result(None)
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(self._broken_off())

    def _broken_off(self) -> ReplicaFailed:
        return ReplicaFailed(f"{self._replica} broke off its lane.")

    async def broken(self) -> None:
        """Return when the connection breaks.

        Raises:
            ReplicaFailed: always.
        """
        await asyncio.shield(self._lost)
        raise self._broken_off()

    async def close(self) -> None:
        """Let go of it."""
        if self._transport is not None:
            self._transport.abort()


def is_whole(data: bytes) -> bool:
    """Whether it is one message, no more and no less."""
    return len(data) >= LENGTH.size and len(data) == LENGTH.size + LENGTH.unpack_from(data)[0]
