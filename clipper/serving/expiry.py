"""Deadlines of an application's queries: one timer for all, not one for each.

Queries of one application have the same SLO, so they expire in the order in which they came, and
a deque holds them in that order; only the first of them that is not settled needs a timer. A query
with a tighter deadline of its own is rare, and gets a timer of its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from clipper.abstraction.slices import SLICE


class Expiring(Protocol):
    """What must be settled by its deadline, in loop time."""

    deadline: float
    is_settled: bool


Q = TypeVar("Q", bound=Expiring)

CROWDED = 4096
"""So many queries may stand behind one that is not settled before the settled ones are let go."""


class Expiry(Generic[Q]):
    """Calls `expire` with each query that is not settled when its deadline comes."""

    __slots__ = ("_crowded", "_expire", "_latest", "_line", "_loop", "_timer")

    def __init__(self, expire: Callable[[Q], None]) -> None:
        self._expire = expire
        self._line: deque[Q] = deque()
        self._latest = 0.0
        """The last deadline that joined the line; the timer is never set to a later one."""
        self._crowded = CROWDED
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._line)

    def watch(self, query: Q) -> None:
        """Expire this query at its deadline unless it is settled by then."""
        line = self._line
        while line and line[0].is_settled:
            line.popleft()
        if query.deadline < self._latest:
            self._loop.call_at(query.deadline, self._expire_one, query)
            return
        if len(line) >= self._crowded:
            self._line = line = deque(other for other in line if not other.is_settled)
            self._crowded = max(CROWDED, 2 * len(line))
        line.append(query)
        self._latest = query.deadline
        if self._timer is None:
            self._timer = self._loop.call_at(query.deadline, self._fire)

    def _expire_one(self, query: Q) -> None:
        if not query.is_settled:
            self._expire(query)

    def _fire(self) -> None:
        """Expire what is due, and set the timer to the next query that is not settled."""
        self._timer = None
        line = self._line
        # uvloop rounds timers to milliseconds, so one may fire that much early.
        due = self._loop.time() + 0.001
        left = SLICE
        try:
            while left and line and (line[0].is_settled or line[0].deadline <= due):
                query = line.popleft()
                if not query.is_settled:
                    left -= 1
                    self._expire(query)
        finally:
            if line and self._timer is None:
                # At once where more are due: in between, the loop hears of what else has happened.
                at = max(line[0].deadline, self._loop.time())
                self._timer = self._loop.call_at(at, self._fire)
