"""A replica over gRPC: one bidirectional stream of batches for as long as it lives.

A stream saves what a call a batch costs at both ends (measured: half of the round trip). It is
opened anew for each life of a container; when it breaks, whoever awaits a batch is told so.

Results are read by a task that is always reading. To begin to read when the batch has been written
would cost another two turns of the event loop for each batch; a turn is long where there is much
to do, and meanwhile the replica is idle.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc

from clipper.core.errors import ModelFailed, ReplicaFailed
from clipper.core.tasks import Tasks
from clipper.core.types import BatchOutputs, Input, InputType, ReplicaId
from clipper.rpc import health_pb2
from clipper.rpc.columns import decode_outputs, encode_batch
from clipper.rpc.model_pb2 import BatchResult, DescribeRequest, Description
from clipper.rpc.model_pb2 import InputType as WireType

SERVICE = "clipper.v1.Model"
PROTOCOL = 1
MAX_MESSAGE_BYTES = 256 * 1024 * 1024

OPTIONS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A stopped container still holds its connection; only unanswered pings tell.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A container listens as soon as it has loaded its model: look often.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Replicas are reached directly, whatever proxy the environment names.
    ("grpc.enable_http_proxy", 0),
    # Each replica has a connection of its own, so that a broken one leaves no trace in the next.
    ("grpc.use_local_subchannel_pool", 1),
]


class GrpcReplica:
    """One life of one container, from connect to close."""

    def __init__(self, replica: ReplicaId, input_type: InputType, address: str, token: str) -> None:
        self.id = replica
        self.input_type = input_type
        self._metadata = (("clipper-token", token),)
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._stream: Any = None
        self._batch_id = 0
        self._tasks = Tasks()
        self._awaited: asyncio.Future[BatchResult] = asyncio.get_running_loop().create_future()
        """The result of the batch that is out."""
        self._end: ReplicaFailed | None = None
        """Why nothing more is read."""

    async def connect(self) -> None:
        """Wait until the model is loaded and warmed up, then open the stream.

        Raises:
            ReplicaFailed: the container speaks another protocol, or takes another input type.
        """
        try:
            await self._until_serving()
            self._check(await self._describe())
            self._stream = self._channel.stream_stream(
                f"/{SERVICE}/Predict",
                response_deserializer=BatchResult.FromString,
            )(metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from error
        self._tasks.spawn(f"read {self.id}", self._read())

    async def _read(self) -> None:
        """Hand over results until the stream ends."""
        try:
            while (result := await self._stream.read()) is not grpc.aio.EOF:
                if not self._awaited.done():
                    self._awaited.set_result(result)
            self._end = ReplicaFailed(f"{self.id} broke off its stream.")
        except grpc.aio.AioRpcError as error:
            self._end = self._failure(error)
        if not self._awaited.done():
            self._awaited.set_exception(self._end)
            self._awaited.exception()  # also where nobody awaits it

    async def _until_serving(self) -> None:
        watch = self._channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )(
            health_pb2.HealthCheckRequest(service=SERVICE),
            metadata=self._metadata,
            wait_for_ready=True,
        )
        try:
            async for answer in watch:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
        finally:
            watch.cancel()
        raise ReplicaFailed(f"{self.id} ended before it was ready.")

    async def _describe(self) -> Description:
        call = self._channel.unary_unary(
            f"/{SERVICE}/Describe",
            request_serializer=DescribeRequest.SerializeToString,
            response_deserializer=Description.FromString,
        )
        description: Description = await call(DescribeRequest(), metadata=self._metadata)
        return description

    def _check(self, description: Description) -> None:
        if description.protocol != PROTOCOL:
            raise ReplicaFailed(
                f"{self.id} speaks version {description.protocol} of the container protocol; "
                f"this daemon speaks {PROTOCOL}."
            )
        taken = WireType.Name(description.input_type).lower()
        if description.input_type and taken != self.input_type:
            raise ReplicaFailed(f"{self.id} takes {taken}; it was deployed for {self.input_type}.")

    async def predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        """Send a batch, await its outputs.

        Raises:
            ModelFailed: the model raised, or its answer does not fit.
            ReplicaFailed: the stream broke.
        """
        if self._end is not None:
            raise self._end
        batch_id = self._batch_id = self._batch_id + 1
        self._awaited = awaited = asyncio.get_running_loop().create_future()
        try:
            await self._stream.write(encode_batch(batch_id, self.input_type, inputs))
        except grpc.aio.AioRpcError as error:
            raise self._failure(error) from error
        result = await awaited
        if result.id != batch_id:
            raise ReplicaFailed(f"{self.id} answered batch {result.id} instead of {batch_id}.")
        if result.HasField("outputs"):
            outputs = decode_outputs(result.outputs, len(inputs))
            return BatchOutputs(outputs, result.predict_ns / 1e9)
        raise ModelFailed(result.error.message or "The model gave no answer.")

    async def broken(self) -> None:
        """Return when the connection breaks, also where no batch is in flight.

        Raises:
            ReplicaFailed: always.
        """
        code, details = await self._stream.code(), await self._stream.details()
        raise ReplicaFailed(f"{self.id} broke off: {code.name}: {details}")

    def _failure(self, error: grpc.aio.AioRpcError) -> ReplicaFailed:
        return ReplicaFailed(f"{self.id} broke off: {error.code().name}: {error.details()}")

    async def close(self) -> None:
        """Let go of the connection."""
        if self._stream is not None:
            self._stream.cancel()
        await self._tasks.cancel()
        await self._channel.close()
