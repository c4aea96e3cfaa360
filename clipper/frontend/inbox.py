"""Predict requests that came while the event loop was behind: worked off in slices, in their order.

The loop hears of replicas' results, of timers and of requests in turns. A turn in which hundreds of
requests are decoded takes tens of milliseconds, in which a replica that is done has nothing to do,
and what comes meanwhile seems to come later than it did. So a turn that has been long decodes
nothing more: it notes what else came, and when, and the next turns go on with that.

What is read at the beginning of a turn came during the one before. Where that one was busy, the
request counts as having come at its beginning: to answer it in time, it must not seem younger than
it is.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

SLICE_S = 0.001
LONG_S = 2 * SLICE_S
"""uvloop counts in whole milliseconds, so that a turn seems to have begun up to one earlier."""


class Loop(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float:
        """When the turn began, in seconds."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
        """Call it in the next turn."""


class Inbox:
    """What is still to be begun, and when it came."""

    def __init__(self, loop: Loop | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._loop: Loop = loop or asyncio.get_running_loop()
        self._now = now
        self._waiting: deque[tuple[Callable[[float], None], float]] = deque()
        self._turn_began = self._active = self._loop.time()
        """The turn in which a request came or was begun, and when in it that was the last time."""
        self._behind_s = 0.0
        """How long the turn before was busy with that, where it was long."""

    def __len__(self) -> int:
        return len(self._waiting)

    def arrival(self) -> tuple[float, bool]:
        """When what was just received came, and whether it has to wait for its turn."""
        now = self._now()
        turn_began = self._loop.time()
        if turn_began > self._turn_began:
            self._next_turn(turn_began)
        self._active = now
        if self._waiting or now - turn_began > LONG_S:
            return turn_began - self._behind_s, True
        return now - self._behind_s, False

    def _next_turn(self, began: float) -> None:
        busy_s = self._active - self._turn_began
        self._behind_s = busy_s if busy_s > LONG_S else 0.0
        self._turn_began = self._active = began

    def add(self, begin: Callable[[float], None], arrived: float) -> None:
        """Begin with this when those before it are begun."""
        if not self._waiting:
            self._loop.call_soon(self._work)
        self._waiting.append((begin, arrived))

    def _work(self) -> None:
        self._next_turn(self._loop.time())
        until = self._now() + SLICE_S
        while self._waiting and self._active <= until:
            begin, arrived = self._waiting.popleft()
            begin(arrived)
            self._active = self._now()
        if self._waiting:
            self._loop.call_soon(self._work)
