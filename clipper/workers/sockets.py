"""Listening sockets on one address, among which the kernel spreads connections.

They belong to the main process, so that connections that wait in the queue of a worker that ends
wait on. Every worker inherits all of them: one for each place. While a place has no worker that
serves, one of the others takes the connections that come there, so that nobody waits until a
successor has begun.
"""

import asyncio
import contextlib
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from clipper.frontend.listener import BACKLOG, Listener


async def listen(host: str, port: int, count: int) -> list[list[socket.socket]]:
    """`count` lists of sockets, each with one for every address of the host.

    Port 0 takes a free one, the same for all.

    Raises:
        OSError: an address is taken, or not ours.
    """
    lists: list[list[socket.socket]] = [[] for _ in range(count)]
    try:
        for family, address in await _addresses(host):
            for number, sockets in enumerate(lists):
                one = _bind(family, (address[0], port, *address[2:]), is_first=number == 0)
                port = one.getsockname()[1]
                sockets.append(one)
        for sockets in lists:
            for one in sockets:
                one.listen(BACKLOG)
    except BaseException:
        close_all(lists)
        raise
    return lists


def close_all(lists: Iterable[Sequence[socket.socket]]) -> None:
    """Let go of them; who inherited one may still have it."""
    for sockets in lists:
        for one in sockets:
            one.close()


async def _addresses(host: str) -> list[tuple[int, Any]]:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind(family: int, address: Any, *, is_first: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if not is_first:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(address)
        # The first is bound alone, or it would share the port of another daemon of this user.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one


class Places:
    """A worker's listener, at its own place and at those that it covers."""

    def __init__(
        self, listener: Listener, sockets: Mapping[int, Sequence[socket.socket]], own: int
    ) -> None:
        """`listener` has copies of the sockets of its own place."""
        self._listener = listener
        self._sockets = sockets
        self._own = own
        self._covered: dict[int, list[asyncio.Server]] = {}
        self._is_shut = False

    async def start(self) -> None:
        """Let queries in at the own place."""
        await self._listener.start()

    async def cover(self, places: Collection[int]) -> None:
        """Let queries in at these places as well, and at no others."""
        for place in self._covered.keys() - set(places):
            self._listener.part_with(self._covered.pop(place))
        for place in places:
            if place not in self._covered and not self._is_shut:
                self._covered[place] = await self._listener.also(copies(self._sockets[place]))

    def shut(self) -> None:
        """Let nobody in any more, wherever it is.

        To close our copies would not do: who connects would wait at those of the others, in vain.
        """
        self._is_shut = True
        self._listener.shut()
        for place in (self._own, *self._covered):
            for one in self._sockets[place]:
                with contextlib.suppress(OSError):  # another worker has just done so
                    one.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """Ask whoever is in to leave."""
        self._listener.refuse()

    async def drain(self) -> None:
        """Return when all are answered; cancel this to end them at once."""
        await self._listener.drain()


def copies(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """For a listener, which closes what it is given."""
    return [one.dup() for one in sockets]
