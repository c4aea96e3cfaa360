"""Predict requests that came while the event loop was behind: worked off in slices, in their order.

The loop hears of replicas' results, of timers and of requests in turns. A turn in which hundreds of
requests are decoded takes tens of milliseconds, in which a replica that is done has nothing to do,
and what comes meanwhile seems to come later than it did. So a turn that has been long decodes
nothing more: it notes what else came, and when, and the next turns go on with that.

What a connection brings has waited for the turn to end in which it came. How late the loop is, is
heard from a clock that ticks while requests come; a request counts as that much older: to be
answered in time, it must not seem younger than it is.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

SLICE_S = 0.001
TICK_S = 0.005
LONG_S = 2 * SLICE_S
"""uvloop counts in whole milliseconds, so that a turn seems to have begun up to one earlier."""


class Loop(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float:
        """When the turn began, in seconds."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> object:
        """Call it after so many seconds."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:
        """Call it in the next turn."""


class Inbox:
    """What is still to be begun, and when it came."""

    def __init__(self, loop: Loop | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._loop: Loop = loop or asyncio.get_running_loop()
        self._now = now
        self._waiting: deque[tuple[Callable[[float], None], float]] = deque()
        self._lag_s = 0.0
        """How late the clock ticked, where that is worth mentioning."""
        self._late_turn: float | None = None
        """The turn in which something was read for the first time after that: what is read in it
        has waited as long. If only this tick was late, that is all."""
        self._is_behind = False
        """Whether the tick before was late as well: then whatever is read has waited."""
        self._last = 0.0
        """When the last request came."""
        self._is_ticking = self._is_asked = False
        """Asked: since the last tick."""

    def __len__(self) -> int:
        return len(self._waiting)

    def arrival(self) -> tuple[float, bool]:
        """When what was just received came, and whether it has to wait for its turn."""
        now, turn_began = self._now(), self._loop.time()
        self._is_asked = True
        if not self._is_ticking:
            self._is_ticking, self._lag_s = True, 0.0
            self._loop.call_later(TICK_S, self._tick, now + TICK_S)
        has_to_wait = bool(self._waiting) or now - turn_began > LONG_S
        arrived = turn_began if has_to_wait else now
        if self._late_turn is None:
            self._late_turn = turn_began
        if self._is_behind or turn_began == self._late_turn:
            arrived -= self._lag_s
        if 0 < self._last - arrived <= LONG_S:  # in order, as far as clocks can tell
            arrived = self._last
        self._last = arrived
        return arrived, has_to_wait

    def _tick(self, due: float) -> None:
        now = self._now()
        lag_s = now - due
        self._is_behind = self._lag_s > 0 and lag_s > LONG_S
        self._lag_s, self._late_turn = lag_s if lag_s > LONG_S else 0.0, None
        self._is_ticking, self._is_asked = self._is_asked, False
        if self._is_ticking:
            self._loop.call_later(TICK_S, self._tick, now + TICK_S)

    def add(self, begin: Callable[[float], None], arrived: float) -> None:
        """Begin with this when those before it are begun."""
        if not self._waiting:
            self._loop.call_soon(self._work)
        self._waiting.append((begin, arrived))

    def _work(self) -> None:
        until = self._now() + SLICE_S
        try:
            while self._waiting and self._now() <= until:
                begin, arrived = self._waiting.popleft()
                begin(arrived)
        finally:
            if self._waiting:
                self._loop.call_soon(self._work)
