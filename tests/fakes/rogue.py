"""A container that speaks the protocol itself, and lies; the tests never import it.

Which lie it tells with a batch, the first input says: `{"lie": "wrong_id"}`. Without one it gives
every input back. What it says of itself, its class decides.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
from clipper_container import ModelContainer, health_pb2
from clipper_container.model_pb2 import (
    BOOL,
    BYTES,
    FLOAT64,
    INT64,
    JSON,
    JSON_TEXT,
    Batch,
    BatchResult,
    Description,
    Outputs,
)

SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
NAN = b"\0\0\0\0\0\0\xf8\x7f"
HUGE_BYTES = 60 << 20
TOO_HUGE_BYTES = 200 << 20


class Rogue(ModelContainer):
    """Takes the place of the server that the SDK would start when it is loaded."""

    protocol = 1
    wire_type = JSON
    lane = ""

    def __init__(self, model_data: str) -> None:
        asyncio.run(self.serve())

    def predict_batch(self, inputs: Any) -> Any:
        raise AssertionError("it is never loaded")

    async def serve(self) -> None:
        server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
        for service, methods in {
            "grpc.health.v1.Health": {"Watch": grpc.unary_stream_rpc_method_handler(self.watch)},
            "clipper.v1.Model": {
                "Describe": grpc.unary_unary_rpc_method_handler(self.describe),
                "Predict": grpc.stream_stream_rpc_method_handler(self.predict),
            },
        }.items():
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, methods),)
            )
        server.add_insecure_port("0.0.0.0:7000")
        await server.start()
        await server.wait_for_termination()

    async def watch(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield SERVING.SerializeToString()
        await asyncio.Event().wait()

    async def describe(self, request: bytes, context: Any) -> bytes:
        return Description(
            protocol=self.protocol, input_type=self.wire_type, lane=self.lane
        ).SerializeToString()

    async def predict(self, batches: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for message in batches:
            batch = Batch.FromString(message)
            first = json.loads(batch.data[: batch.lengths[0]])
            lie = first.get("lie", "") if isinstance(first, dict) else ""
            if lie == "flood":
                while True:
                    yield honest(batch)
            yield getattr(Lies, lie)(batch) if lie else honest(batch)


def honest(batch: Batch) -> bytes:
    """Every input is its own output."""
    outputs = Outputs(type=JSON_TEXT, size=batch.size, data=batch.data, lengths=batch.lengths)
    return BatchResult(id=batch.id, outputs=outputs).SerializeToString()


def answer(batch: Batch, **outputs: Any) -> bytes:
    return BatchResult(id=batch.id, outputs=Outputs(**outputs)).SerializeToString()


class Lies:
    """Answers to a batch, by name."""

    @staticmethod
    def wrong_id(batch: Batch) -> bytes:
        batch.id += 1000
        return honest(batch)

    @staticmethod
    def too_many(batch: Batch) -> bytes:
        return answer(batch, type=INT64, size=batch.size + 1, data=bytes(8 * (batch.size + 1)))

    @staticmethod
    def too_few(batch: Batch) -> bytes:
        return answer(batch, type=INT64, size=0)

    @staticmethod
    def not_a_number(batch: Batch) -> bytes:
        return answer(batch, type=FLOAT64, size=batch.size, data=NAN * batch.size)

    @staticmethod
    def not_json(batch: Batch) -> bytes:
        return answer(batch, type=JSON_TEXT, size=1, data=b"[" * 100_000, lengths=[100_000])

    @staticmethod
    def large_claim(batch: Batch) -> bytes:
        return answer(batch, type=INT64, size=batch.size, dims=[1 << 31, 1 << 31], data=b"")

    @staticmethod
    def garbage(batch: Batch) -> bytes:
        return b"\xff" * 100

    @staticmethod
    def many_lists(batch: Batch) -> bytes:
        text = b"[" + b"[]," * (HUGE_BYTES // 3) + b"0]"
        return answer(batch, type=JSON_TEXT, size=1, data=text, lengths=[len(text)])

    @staticmethod
    def many_values(batch: Batch) -> bytes:
        return answer(batch, type=BOOL, size=1, dims=[HUGE_BYTES, 1], data=bytes(HUGE_BYTES))

    @staticmethod
    def too_huge(batch: Batch) -> bytes:
        return answer(batch, type=JSON_TEXT, size=1, data=bytes(TOO_HUGE_BYTES))


class NeverWell(Rogue):
    """Does not say that it serves."""

    async def watch(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


class OtherProtocol(Rogue):
    """Speaks another version."""

    protocol = 99


class OtherType(Rogue):
    """Takes something else."""

    wire_type = BYTES


class ElsewhereLane(Rogue):
    """Would have the daemon connect to the engine."""

    lane = "/var/run/docker.sock"
