"""The real Docker engine, where there is one, and a way to it that can be cut."""

import asyncio
import contextlib
from pathlib import Path

import docker
from docker.errors import DockerException

import clipper
from clipper.core.tasks import Tasks
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
