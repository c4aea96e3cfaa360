"""A listener on a real socket over models in this process, and clients that can send anything."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from clipper.core.types import InputType
from clipper.frontend.door import Door
from clipper.frontend.listener import Listener
from clipper.frontend.query_app import build_query_app
from tests.fakes.predicting import application
from tests.fakes.world import World

MAX_BODY = 10_000
SLOW_S = 0.3
PATIENCE_S = 20.0
"""So long may anything take on a busy machine."""


class Response:
    """One answer, as it came."""

    def __init__(self, head: bytes, body: bytes) -> None:
        line, *lines = head.decode("latin-1").split("\r\n")
        self.version, status, _ = line.split(" ", 2)
        self.status = int(status)
        pairs = (line.split(": ", 1) for line in lines)
        self.headers = {name.lower(): value for name, value in pairs}
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends with it."""
        return self.headers.get("connection") == "close"


class Wire:
    """One connection on which anything can be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> Response:
        """The next answer; EOFError where there is none."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except ConnectionError as error:
                raise EOFError from error
            except asyncio.IncompleteReadError as error:
                raise EOFError(error.partial) from error
            response = Response(head[:-4], b"")
            length = int(response.headers.get("content-length", 0))
            response.body = await self._reader.readexactly(length)
            return response

    async def ends(self) -> bool:
        """Whether the other side closes without a further word."""
        try:
            response = await self.receive()
        except EOFError as error:
            return error.args in ((), (b"",))
        raise AssertionError(f"{response.status} {response.body!r}")

    async def is_quiet(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        try:
            async with asyncio.timeout(seconds):
                return not await self._reader.read(1)
        except TimeoutError:
            return True

    def stop_reading(self) -> None:
        """Leave what comes where it is."""
        cast(asyncio.ReadTransport, self._writer.transport).pause_reading()

    def read_on(self) -> None:
        """Read again."""
        cast(asyncio.ReadTransport, self._writer.transport).resume_reading()

    def abort(self) -> None:
        """Vanish."""
        self._writer.transport.abort()

    async def ask(self, data: bytes) -> Response:
        await self.send(data)
        return await self.receive()


class Served:
    """A listener in front of models: `fast` at once, `slow` after a while, both echo."""

    def __init__(self, world: World, listener: Listener, door: Door) -> None:
        self.world = world
        self.listener = listener
        self.door = door
        self.wires: list[Wire] = []

    async def connect(self) -> Wire:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.listener.port))
        self.wires.append(wire)
        return wire

    def outcomes(self, app: str) -> dict[str, int]:
        stats = self.world.services.metrics.applications[app]
        names = ("answered", "cancelled", "late", "no_model")
        return {name: getattr(stats, name) for name in names if getattr(stats, name)}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what must come soon."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - what it waits for says nothing
                await asyncio.sleep(0.005)

    @property
    def open_connections(self) -> int:
        return len(self.listener.connections)


@asynccontextmanager
async def serving(
    token: str = "", read_timeout_s: float = 10.0, max_body_bytes: int = MAX_BODY
) -> AsyncIterator[Served]:
    world = World()
    services = await world.start()
    for app, takes_s in (("fast", 0.0), ("slow", SLOW_S), ("text", 0.0)):
        input_type = InputType.STRINGS
        record = application(app, latency_slo_micros=10_000_000)
        await services.catalogue.add_application(record)
        await world.deploy(f"{app}:1", input_type=input_type)
        await services.catalogue.link(app, [app])
        world.behaviour(f"{app}:1").fixed_s = takes_s
    door = Door(max_body_bytes, read_timeout_s, services.predictor, token.encode())
    listener = Listener(build_query_app(services, token), "127.0.0.1", 0, door)
    await listener.start()
    served = Served(world, listener, door)
    try:
        yield served
    finally:
        for wire in served.wires:
            wire.abort()
        listener.refuse()
        async with asyncio.timeout(PATIENCE_S):
            await listener.drain()
        await services.close()


def predict(app: str, input: str, *headers: str, version: str = "1.1") -> bytes:
    """A whole request."""
    body = json.dumps({"input": input}).encode()
    return head(app, f"Content-Length: {len(body)}", *headers, version=version) + body


def head(app: str, *headers: str, version: str = "1.1") -> bytes:
    lines = (f"POST /{app}/predict HTTP/{version}", "Host: localhost", *headers, "", "")
    return "\r\n".join(lines).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
