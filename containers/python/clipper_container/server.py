"""The gRPC server of one container: describe, a stream of batches, health, a token, a drain."""

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from clipper_container import __version__, listening, model_pb2
from clipper_container.container import Model
from clipper_container.health import Health
from clipper_container.health_pb2 import HealthCheckResponse
from clipper_container.lane import LaneServer, lane_path
from clipper_container.model_pb2 import DescribeRequest, Description
from clipper_container.predictor import NotABatch, Predictor, sendable

SERVICE = "clipper.v1.Model"
PROTOCOL = 1
TOKEN_KEY = "clipper-token"

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
SAID_CHARS = 2_000
LINGER_S = 0.25
"""Between saying NOT_SERVING and ending the streams: what is on its way is still answered."""
DRAIN_S = 30.0
"""How long the answers of a drain may take to be collected."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How one container serves."""

    listen: str
    """`unix:/path` or `host:port`; port 0 lets the system choose."""
    input_type: model_pb2.InputType = model_pb2.INPUT_TYPE_UNSPECIFIED
    """The only one that is taken; unspecified takes all."""
    token: str = ""
    """Asked of every call; empty asks for none."""
    max_message_bytes: int = MAX_MESSAGE_BYTES


class ModelServer:
    """Serves one model from `start` to `drain`."""

    def __init__(self, model: Model, settings: ServerSettings) -> None:
        self._settings = settings
        self._model = model
        self._predictor = Predictor(model, settings.input_type, settings.max_message_bytes)
        self._health = Health()
        # Twice the limit, so that a batch beyond it is answered, not hung up on.
        most = 2 * settings.max_message_bytes
        path = lane_path(settings.listen)
        self._lane = LaneServer(path, self._predictor.answer, settings.token, most)
        self._idle: set[asyncio.Task[Any]] = set()
        self._draining = False
        self._server = grpc.aio.server(options=_options(settings.max_message_bytes))
        handlers = self._handlers() | self._health.handlers()
        self._server.add_generic_rpc_handlers([Routes(handlers, settings.token)])

    def _handlers(self) -> dict[str, Any]:
        describe = grpc.unary_unary_rpc_method_handler(
            self._describe,
            request_deserializer=DescribeRequest.FromString,
            response_serializer=Description.SerializeToString,
        )
        # Predict takes and gives bytes: what cannot be parsed, or is too large, is ours to answer.
        predict = grpc.stream_stream_rpc_method_handler(self._predict)
        return {f"/{SERVICE}/Describe": describe, f"/{SERVICE}/Predict": predict}

    async def start(self) -> str:
        """Listen and serve; returns the address, with the port that the system chose for port 0.

        Raises:
            ListenError: the address cannot be had.
        """
        listen = self._settings.listen
        try:
            port = self._server.add_insecure_port(listen)
        except RuntimeError as error:
            raise listening.ListenError(f"--listen {listen}: {error}") from error
        if self._lane.path:
            await self._lane.open()
        await self._server.start()
        self._health.set(HealthCheckResponse.SERVING)
        return listening.bound_address(listen, port)

    async def drain(self) -> None:
        """Say that we go, answer what was sent, end every stream, stop listening."""
        self._health.set(HealthCheckResponse.NOT_SERVING)
        await asyncio.sleep(LINGER_S)
        self._draining = True
        for stream in self._idle:
            stream.cancel()
        self._health.close()
        self._lane.close()
        await self._server.stop(DRAIN_S)

    async def _describe(self, _request: DescribeRequest, _context: Any) -> Description:
        return Description(
            protocol=PROTOCOL,
            sdk=f"clipper-container {__version__}",
            input_type=self._settings.input_type,
            max_message_bytes=self._settings.max_message_bytes,
            lane=self._lane.path,
            model=_said(self._model, "about"),
            input_form=_said(self._model, "input_form"),
            output_form=_said(self._model, "output_form"),
        )

    async def _predict(self, _requests: Any, context: Any) -> None:
        while not self._draining:
            message = await self._next(context)
            if message is None:
                return
            try:
                # In the event loop, not in a thread: a container has one batch in hand and nothing
                # better to do, and a thread makes the round trip of a small batch half as long
                # again (measured: 310 us to 480). Pings are answered by gRPC's own threads.
                result = self._predictor.answer(message)
            except NotABatch as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            await context.write(result)

    async def _next(self, context: Any) -> bytes | None:
        """The next message of a stream; None at its end, or when we drain."""
        stream = asyncio.current_task()
        assert stream is not None
        self._idle.add(stream)
        try:
            message = await context.read()
        except asyncio.CancelledError:
            if not self._draining:
                raise
            return None
        finally:
            self._idle.discard(stream)
        return None if message is grpc.aio.EOF else message


class Routes:
    """Finds the handler of a call; calls without the token all meet `refuse`."""

    def __init__(self, handlers: Mapping[str, Any], token: str) -> None:
        self._handlers = handlers
        self._token = token.encode()
        self._refuse = grpc.stream_stream_rpc_method_handler(refuse)

    def service(self, call: Any) -> Any:
        """The handler, or None where there is no such method; called by gRPC."""
        given = dict(call.invocation_metadata).get(TOKEN_KEY, "")
        if self._token and not hmac.compare_digest(given.encode(), self._token):
            return self._refuse
        return self._handlers.get(call.method)


async def refuse(_requests: Any, context: Any) -> None:
    """End the call, of whatever kind it is, before anything of it is read."""
    await context.abort(
        grpc.StatusCode.UNAUTHENTICATED, f"The metadata {TOKEN_KEY!r} is not this container's."
    )


def _said(model: Model, attribute: str) -> str:
    """What a model says of itself; a class of anybody's may have something else of that name."""
    text = getattr(model, attribute, "")
    return sendable(text[:SAID_CHARS]) if isinstance(text, str) else ""


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        # Twice the limit, so that a batch beyond it is answered, not cut off with its stream.
        ("grpc.max_receive_message_length", min(2 * max_message_bytes, 2**31 - 1)),
        ("grpc.max_send_message_length", max_message_bytes),
        # Two containers on one port would share its calls between them.
        ("grpc.so_reuseport", 0),
        # The daemon pings idle streams to find the dead; by default a server hangs up on that.
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
