"""A listener: a socket, its connections, the clock that watches them, and an orderly end.

uvicorn's own server polls, and takes the process's signals; a daemon with two listeners needs
neither, so only uvicorn's protocol and configuration are used.
"""

import asyncio
import socket
from collections.abc import Sequence
from email.utils import formatdate
from functools import partial
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from clipper.core.clock import utc_now
from clipper.frontend.door import Door
from clipper.frontend.protocol import Connection

TICK_S = 1.0
BACKLOG = 2048


class Listener:
    """Serves an ASGI application, and the door's fast path, on one address."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        door: Door,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """`sockets` are bound to the address already; without them it is bound here."""
        self.host = host
        self.port = port
        self._door = door
        self._sockets = sockets
        self._config = Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            reset_contextvars=True,
        )
        self._config.load()
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._closed = asyncio.Event()

    async def bind(self) -> None:
        """Take the address, where nobody is let in yet; `port` is then the real one.

        Raises:
            OSError: the address is taken, or not ours.
        """
        if self._sockets:
            await self._on(self._sockets)
        else:
            self._servers = [await self._serve(host=self.host, port=self.port)]
        self.port = self._servers[0].sockets[0].getsockname()[1]

    async def _on(self, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
        servers = [await self._serve(sock=one) for one in sockets]
        self._servers += servers
        return servers

    async def _serve(self, **where: Any) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        connect = partial(Connection, self._config, self._state, loop, self._door)
        return await loop.create_server(connect, backlog=BACKLOG, start_serving=False, **where)

    async def start(self) -> None:
        """Listen, at an address that is bound first if it is not.

        Raises:
            OSError: the address is taken, or not ours.
        """
        if not self._servers:
            await self.bind()
        self._tick()
        for server in self._servers:
            await server.start_serving()

    async def also(self, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
        """Listen on other sockets, too, until the result is parted with."""
        servers = await self._on(sockets)
        for server in servers:
            await server.start_serving()
        return servers

    def part_with(self, servers: Sequence[asyncio.Server]) -> None:
        """Accept no more connections there; those that are open go on."""
        for server in servers:
            server.close()
            self._servers.remove(server)

    def _tick(self) -> None:
        """Once a second: the date for answers, and connections that keep us waiting."""
        date = formatdate(utc_now(), usegmt=True).encode()
        self._door.set_date(date)
        self._state.default_headers = [(b"date", date)]
        loop = asyncio.get_running_loop()
        if not self._closed.is_set():
            loop.call_later(TICK_S, self._tick)
        now = loop.time()
        for connection in self.connections:
            connection.check(now)

    @property
    def connections(self) -> list[Connection]:
        """Those that are open."""
        return [one for one in self._state.connections if isinstance(one, Connection)]

    def shut(self) -> None:
        """Accept no connection from now on; those that are open go on."""
        for server in self._servers:
            server.close()

    def refuse(self) -> None:
        """Accept no connection from now on; those that are open are asked to end."""
        self._door.is_draining = True
        self.shut()
        for connection in self.connections:
            connection.shutdown()

    async def drain(self) -> None:
        """Return when every connection has ended; cancel this to end them at once."""
        try:
            while self._state.connections:
                self._door.emptied.clear()
                await self._door.emptied.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """End every connection that is left."""
        self._closed.set()
        for server in self._servers:
            server.close()
        for connection in self.connections:
            connection.transport.abort()
