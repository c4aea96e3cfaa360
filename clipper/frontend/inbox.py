"""Predict requests that came while the event loop was behind: worked off in slices, in their order.

The loop hears of replicas' results, of timers and of requests in turns. A turn in which hundreds of
requests are decoded takes tens of milliseconds, in which a replica that is done has nothing to do,
and what comes meanwhile seems to come later than it did. So a turn that has been long decodes
nothing more: it notes what else came, and when, and the next turns go on with that.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_S = 0.001


class Inbox:
    """What is still to be begun, and when it came."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = time.monotonic
        self._waiting: deque[tuple[Callable[[float], None], float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def arrival(self) -> tuple[float, bool]:
        """When what was just received came, and whether it has to wait for its turn."""
        now, turn_began = self._now(), self._loop.time()
        # uvloop counts in whole milliseconds, so that a turn seems to have begun up to one earlier.
        if self._waiting or now - turn_began > 2 * SLICE_S:
            return turn_began, True
        return now, False

    def add(self, begin: Callable[[float], None], arrived: float) -> None:
        """Begin with this when those before it are begun."""
        if not self._waiting:
            self._loop.call_soon(self._work)
        self._waiting.append((begin, arrived))

    def _work(self) -> None:
        until = self._now() + SLICE_S
        while self._waiting:
            if self._now() > until:
                self._loop.call_soon(self._work)
                return
            begin, arrived = self._waiting.popleft()
            begin(arrived)
