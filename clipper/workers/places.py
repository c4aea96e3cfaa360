"""The listening sockets that a worker has inherited: its own, and everybody else's.

While another place has no worker that serves, one of the others takes the connections that come
there, so that nobody waits until a successor has begun.
"""

import asyncio
import socket
from collections.abc import Collection, Mapping, Sequence

from clipper.frontend.listener import Listener


class Places:
    """The listener of this worker's own place, which may cover others as well."""

    def __init__(self, listener: Listener, sockets: Mapping[int, Sequence[socket.socket]]) -> None:
        self._listener = listener
        self._sockets = sockets
        self._covered: dict[int, list[asyncio.Server]] = {}
        self._is_refusing = False

    async def start(self) -> None:
        """Let queries in at the own place."""
        await self._listener.start()

    async def cover(self, places: Collection[int]) -> None:
        """Let queries in at these places as well, and at no others."""
        for place in self._covered.keys() - set(places):
            self._listener.part_with(self._covered.pop(place))
        for place in places:
            if place not in self._covered and not self._is_refusing:
                self._covered[place] = []
                # A copy, for a server closes its socket: the place may have to be covered again.
                copies = [one.dup() for one in self._sockets[place]]
                self._covered[place] += await self._listener.also(copies)

    def refuse(self) -> None:
        """Let nobody in any more, wherever it is."""
        self._is_refusing = True
        self._listener.refuse()

    async def drain(self) -> None:
        """Return when all are answered; cancel this to end them at once."""
        await self._listener.drain()
