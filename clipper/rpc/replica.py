"""A replica over gRPC: asked whether it is ready and what it takes, then sent batch after batch.

Batches go over a stream of gRPC's (`stream`), or, where the container offers one on this machine,
over a lane (`lane`). Either is opened anew for each life of a container; when it breaks, whoever
awaits a batch is told so.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc

from clipper.core.errors import ModelFailed, ReplicaFailed
from clipper.core.tasks import Tasks
from clipper.core.types import BatchOutputs, Description, Input, InputType, ReplicaId
from clipper.rpc import health_pb2
from clipper.rpc.columns import decode_outputs, encode_batch
from clipper.rpc.lane import Lane
from clipper.rpc.model_pb2 import BatchResult, DescribeRequest
from clipper.rpc.model_pb2 import Description as WireDescription
from clipper.rpc.model_pb2 import InputType as WireType
from clipper.rpc.stream import GrpcStream, broken_off

SERVICE = "clipper.v1.Model"
PROTOCOL = 1
TEXT_CHARS = 500
"""So much is kept of what a container says of itself."""
MAX_BATCH_BYTES = 256 * 1024 * 1024
MAX_RESULT_BYTES = 64 * 1024 * 1024
"""What comes from a container is not trusted, and held in memory several times."""

OPTIONS = [
    ("grpc.max_send_message_length", MAX_BATCH_BYTES),
    ("grpc.max_receive_message_length", MAX_RESULT_BYTES),
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

    def __init__(
        self, replica: ReplicaId, input_type: InputType | None, address: str, token: str
    ) -> None:
        self.id = replica
        self.input_type = input_type
        """What is sent; None where the model is to say, until somebody has settled it."""
        self.description = Description()
        """What it says of itself, once it is connected."""
        self._token = token
        self._is_near = address.startswith("unix:")
        """Whether a path that it names is a path here."""
        self._metadata = (("clipper-token", token),)
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._watch: Any = None
        self._way: GrpcStream | Lane | None = None
        """The one that batches go."""
        self._batch_id = 0
        self._tasks = Tasks()

    async def connect(self) -> None:
        """Wait until the model is loaded and warmed up, then open the stream.

        Raises:
            ReplicaFailed: the container speaks another protocol, or takes another input type.
        """
        try:
            await self._until_serving()
            description = await self._describe()
        except grpc.aio.AioRpcError as error:
            raise broken_off(self.id, error) from error
        self._check(description)
        self.description = described(description)
        if description.lane and self._is_near:
            self._way = await Lane.open(self.id, description.lane, self._token)
        else:
            self._way = GrpcStream(self.id, self._open_stream())

    def _open_stream(self) -> Any:
        return self._channel.stream_stream(
            f"/{SERVICE}/Predict",
            response_deserializer=BatchResult.FromString,
        )(metadata=self._metadata)

    async def _until_serving(self) -> None:
        self._watch = self._channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )(
            health_pb2.HealthCheckRequest(service=SERVICE),
            metadata=self._metadata,
            wait_for_ready=True,
        )
        while (answer := await self._watch.read()) is not grpc.aio.EOF:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
        raise ReplicaFailed(f"{self.id} ended before it was ready.")

    async def _describe(self) -> WireDescription:
        call = self._channel.unary_unary(
            f"/{SERVICE}/Describe",
            request_serializer=DescribeRequest.SerializeToString,
            response_deserializer=WireDescription.FromString,
        )
        description: WireDescription = await call(DescribeRequest(), metadata=self._metadata)
        return description

    def _check(self, description: WireDescription) -> None:
        if description.protocol != PROTOCOL:
            raise ReplicaFailed(
                f"{self.id} speaks version {description.protocol} of the container protocol; "
                f"this daemon speaks {PROTOCOL}."
            )
        taken = _input_type(description)
        if taken and self.input_type and taken is not self.input_type:
            raise ReplicaFailed(f"{self.id} takes {taken}; it was deployed for {self.input_type}.")

    async def predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        """Send a batch, await its outputs.

        Raises:
            ModelFailed: the model raised, or its answer does not fit.
            ReplicaFailed: the connection broke.
        """
        assert self._way is not None, "not connected"
        assert self.input_type is not None, "not settled"
        batch_id = self._batch_id = self._batch_id + 1
        result = await self._way.exchange(encode_batch(batch_id, self.input_type, inputs))
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
        assert self._way is not None
        ends = [self._tasks.spawn(f"hear {self.id}", self._way.broken(), is_awaited=True)]
        ends.append(self._tasks.spawn(f"watch {self.id}", self._watched(), is_awaited=True))
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            await end

    async def _watched(self) -> None:
        """Only gRPC's pings tell of a container that is stopped: hold a call, and see it fail."""
        code, details = await self._watch.code(), await self._watch.details()
        raise ReplicaFailed(f"{self.id} broke off: {code.name}: {details}")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._tasks.cancel()
        if self._way is not None:
            await self._way.close()
        await self._channel.close()


def described(description: WireDescription) -> Description:
    """What a container says of itself, as far as it may be believed and shown."""
    texts = (description.model, description.input_form, description.output_form)
    return Description(_input_type(description), *map(_told, texts))


def _told(text: str) -> str:
    """One line of bounded length, of characters that can be shown."""
    return "".join(filter(str.isprintable, " ".join(text[:TEXT_CHARS].split())))


def _input_type(description: WireDescription) -> InputType | None:
    """What it takes, where it says so and we know it."""
    named = {WireType.Value(input_type.name): input_type for input_type in InputType}
    return named.get(description.input_type)
