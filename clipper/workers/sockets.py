"""Listening sockets on one address, among which the kernel spreads connections.

They belong to the main process, so that connections that wait in the queue of a worker that ends
wait on for its successor.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from clipper.frontend.listener import BACKLOG


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
