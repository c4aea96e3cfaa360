"""Kept connections of a load generator, and the bounded pool of those to one target."""

import socket
from collections import deque

from open_loop import Target

NONE = -1
"""No request."""


class Connection:
    """A kept connection, with one request at a time."""

    __slots__ = ("received", "request", "rest", "socket", "target")

    def __init__(self, target: int, address: tuple[str, int]) -> None:
        self.target = target
        self.request = NONE
        self.rest: memoryview | None = None
        """What of the request is not sent yet."""
        self.received = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(address)  # in progress; a failure shows when it is written to


class Pool:
    """The connections to one target, and the requests that wait for one."""

    def __init__(self, number: int, target: Target, bound: int) -> None:
        self.number = number
        self.address = (target.host, target.port)
        self.bound = bound
        self.size = 0
        self.free: list[Connection] = []
        self.waiting: deque[int] = deque()
