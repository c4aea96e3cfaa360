"""Batches over a bidirectional gRPC stream: the way that every container has.

A stream saves what a call a batch costs at both ends (measured: half of the round trip). Results
are read by a task that is always reading: to begin to read when a batch has been written would cost
two more turns of the event loop, in which the replica has nothing to do.
"""

import asyncio
from typing import Any

import grpc

from clipper.core.errors import ReplicaFailed
from clipper.core.tasks import Tasks
from clipper.core.types import ReplicaId
from clipper.rpc.model_pb2 import BatchResult


class GrpcStream:
    """One stream, from its start to its end."""

    def __init__(self, replica: ReplicaId, call: Any) -> None:
        """`call` is a stream that has been opened."""
        self._replica = replica
        self._call = call
        self._tasks = Tasks()
        self._awaited: asyncio.Future[BatchResult] = asyncio.get_running_loop().create_future()
        """The result of the batch that is out."""
        self._out = 0
        """Batches whose results have not come."""
        self._end: ReplicaFailed | None = None
        """Why nothing more is read."""
        self._tasks.spawn(f"read {replica}", self._read())

    async def _read(self) -> None:
        """Hand over results until the stream ends, or has one that nobody asked for.

        A container that sends without being asked would keep us from everything else.
        """
        try:
            while (result := await self._call.read()) is not grpc.aio.EOF and self._out:
                self._out -= 1
                if not self._awaited.done():
                    self._awaited.set_result(result)
            done = "broke off its stream" if result is grpc.aio.EOF else "sent a result too many"
            self._end = ReplicaFailed(f"{self._replica} {done}.")
            self._call.cancel()
        except grpc.aio.AioRpcError as error:
            self._end = broken_off(self._replica, error)
        if not self._awaited.done():
            self._awaited.set_exception(self._end)
            self._awaited.exception()  # also where nobody awaits it

    async def exchange(self, batch: bytes) -> BatchResult:
        """Send a batch, await its result.

        Raises:
            ReplicaFailed: the stream broke.
        """
        if self._end is not None:
            raise self._end
        self._awaited = awaited = asyncio.get_running_loop().create_future()
        self._out += 1
        try:
            await self._call.write(batch)
        except grpc.aio.AioRpcError as error:
            raise broken_off(self._replica, error) from error
        result: BatchResult = await awaited
        return result

    async def broken(self) -> None:
        """Return when the stream breaks.

        Raises:
            ReplicaFailed: always.
        """
        code, details = await self._call.code(), await self._call.details()
        raise self._end or ReplicaFailed(f"{self._replica} broke off: {code.name}: {details}")

    async def close(self) -> None:
        """Let go of it."""
        self._call.cancel()
        await self._tasks.cancel()


def broken_off(replica: ReplicaId, error: grpc.aio.AioRpcError) -> ReplicaFailed:
    """gRPC's error as ours."""
    return ReplicaFailed(f"{replica} broke off: {error.code().name}: {error.details()}")
