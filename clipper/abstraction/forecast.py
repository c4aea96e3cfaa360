"""When a query that arrives now would be answered: for refusing at once what would be dropped.

To refuse a query costs a third of what it costs to queue it, to drop it and to tell so. So arrivals
are judged as they will be when their batch is formed (see `queue`): by what nine batches in ten
keep to. What is ahead counts in whole batches only, and a query's own batch as one alone where the
last had room for all: whoever may still make it is let in, and judged again then. AlpaServe
(OSDI '23) admits by simulating the same clocks.
"""

from collections.abc import Sequence

from clipper.abstraction.member import Member
from clipper.abstraction.queue import BatchQueue


class Forecast:
    """What arrivals have to expect while every replica is busy; until another batch is taken."""

    def __init__(
        self, members: Sequence[Member], taker: Member, size: int, *, is_crowded: bool
    ) -> None:
        """`taker` has just taken a batch of this size; crowded, if others had no place in it."""
        free_at = [member.busy_until for member in members if member.is_busy]
        self._free_at = min(free_at, default=0.0)
        self._limit = max(taker.limit, size)
        self._round_s = taker.mean_s(self._limit) / len(members)
        """How long it takes all replicas together to serve `_limit` queries."""
        self._needed_s = taker.needed_s(size if is_crowded else 1)
        """How long a query's own batch takes."""
        self._next_done_at = self._free_at + taker.needed_s(size)

    def is_hopeless(self, deadline: float, queue: BatchQueue, now: float) -> bool:
        """Whether a query with this deadline would be late."""
        if self.done_at(len(queue), now) <= deadline:
            return False
        # Whoever is due before the next batch is done will be dropped, and is in nobody's way.
        ahead = max(0, queue.ahead(deadline) - queue.ahead(self._next_done_at))
        return self.done_at(ahead, now) > deadline

    def done_at(self, ahead: int, now: float) -> float:
        """When a query with so many ahead of it would be answered."""
        done_at = self._needed_s + (now if now > self._free_at else self._free_at)
        return done_at if ahead < self._limit else done_at + ahead // self._limit * self._round_s
