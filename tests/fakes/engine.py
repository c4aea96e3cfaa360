"""The real Docker engine, where there is one, and a way to it that can be cut."""

import asyncio
import contextlib
from pathlib import Path

import docker
from docker.errors import DockerException

import clipper
from clipper.core.tasks import Tasks
from clipper.core.types import Input, InputType
from clipper.deploy.manager import Container
from clipper.rpc.replica import GrpcReplica
from tests.fakes.needs import missing

SOCKET = "/var/run/docker.sock"


def require_docker(framework: str = "python") -> None:
    """Skip the test where no engine with the framework's image answers.

    Where the variable TEST_REQUIRE names docker, it fails instead.
    """
    require_image(f"clipper/{framework}-container:{clipper.__version__}")


def require_image(image: str) -> None:
    """The same for any image."""
    if not has_image(image):
        missing("docker", f"no engine with the image {image}")


def has_image(image: str) -> bool:
    """Whether there is an engine, and it has the image."""
    try:
        with contextlib.closing(docker.from_env()) as engine:
            engine.images.get(image)
    except DockerException:
        return False
    return True


def is_there(engine: docker.DockerClient, container_id: str) -> bool:
    """Whether the engine has such a container, running or not."""
    found = engine.containers.list(all=True, sparse=True, filters={"id": container_id})
    return bool(found)


def id_of(container: Container) -> str:
    """As the engine has it, the beginning of it."""
    return container.identity.removeprefix("docker ")


async def ask(container: Container, *inputs: bytes) -> list[object]:
    """The outputs of a model of floats."""
    replica = GrpcReplica(container.replica, InputType.FLOATS, container.address, container.token)
    try:
        async with asyncio.timeout(30):
            await replica.connect()
            outcome = await replica.predict([Input(each) for each in inputs])
    finally:
        await replica.close()
    return [output.value for output in outcome.outputs]


class Way:
    """A socket behind which the engine answers, until it is cut; then nobody is there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tasks = Tasks()
        self._server: asyncio.Server | None = None

    async def restore(self) -> None:
        """The engine answers, to new connections."""
        self._server = await asyncio.start_unix_server(self._connected, self.path)

    async def cut(self) -> None:
        """Every connection breaks, and no more are taken."""
        if self._server:
            self._server.close()
        self.path.unlink(missing_ok=True)
        await self._tasks.cancel()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.spawn("way to the engine", self._carry(reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(SOCKET)
        there = self._tasks.spawn("to the engine", _copy(reader, engine_writer))
        try:
            await _copy(engine_reader, writer)
        finally:
            there.cancel()
            for each in (writer, engine_writer):
                each.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
