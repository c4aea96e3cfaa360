"""When a query that arrives now would be answered: for refusing at once what has no chance.

The forecast is a lower bound on purpose. It counts whole batches of those ahead, and of the batch
that the query would be in only the share `CERTAIN`: whoever may still make it is let in, and judged
again when a batch is formed. AlpaServe (OSDI '23) admits by simulating the same clocks.
"""

from collections.abc import Sequence

from clipper.abstraction.member import Member

CERTAIN = 0.5
"""Simulated: without refusals on arrival no more is answered; at 0.75, up to a tenth less."""


class Forecast:
    """What arrivals have to expect while every replica is busy; nothing until a batch was taken."""

    def __init__(self) -> None:
        self.next_done_at = 0.0
        """When the next batch will be done; whoever is due before that will be dropped."""
        self._free_at = 0.0
        self._limit = 1
        self._round_s = 0.0
        """How long it takes all replicas together to serve `_limit` queries."""
        self._least_s = 0.0
        """How long a query's own batch takes at least."""

    def update(self, members: Sequence[Member], taker: Member, size: int, crowded: bool) -> None:
        """A batch of this size was taken."""
        limit = max(taker.limit, size)
        self._free_at = min(member.busy_until for member in members if member.is_busy)
        self.next_done_at = self._free_at + taker.mean_s(size)
        self._limit = limit
        self._round_s = taker.mean_s(limit) / len(members)
        self._least_s = CERTAIN * taker.mean_s(size if crowded else 1)

    def done_at(self, ahead: int, now: float) -> float:
        """The earliest instant at which a query with so many ahead of it would be answered."""
        rounds = ahead // self._limit
        return max(self._free_at, now) + rounds * self._round_s + self._least_s
