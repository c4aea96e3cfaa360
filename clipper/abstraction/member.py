"""A replica as the scheduler sees it: what it takes, how long that takes, and when it is free."""

import asyncio

from clipper.abstraction.batching import BatchControl
from clipper.abstraction.latency import LatencyEstimate

FORGETTING = 0.1
"""The weight of the newest batch in what is remembered of how long telling takes."""


class Member:
    """One replica that takes batches.

    No batch is expected to take longer than the objective: a prediction beyond it would have every
    query dropped, and nothing would ever show that it was wrong.
    """

    def __init__(self, control: BatchControl, estimate: LatencyEstimate) -> None:
        self.control = control
        self.estimate = estimate
        self.is_stopping = False
        self.is_busy = False
        self.busy_until = 0.0
        """When the batch of one that is busy is expected back."""
        self.free_since = 0.0
        """When it last began to wait for a batch; kept only where batches may wait for more, as are
        the next two."""
        self.answered = self.found = 0
        """How many were in the batch before, and how many waited when that was done."""
        self.worked_at = 0.0
        """When it last took a batch."""
        self.resting: asyncio.Future[bool] | None = None
        """Set while it waits for work."""
        self._told = self._telling_s = 0.0
        """How many were told what became of them of late, and how long that took."""
        self._taken = 0
        self.batches = self.queries = 0
        """What it answered."""

    @property
    def limit(self) -> int:
        """How many queries it takes at the most now."""
        return 0 if self.is_stopping else self.control.batch_size

    def mean_s(self, size: int) -> float:
        """How long a batch takes as a rule; 0 while nothing is known."""
        return min(self.estimate.mean_s(size), self.control.objective_s)

    @property
    def telling_s(self) -> float:
        """How long it takes, for each query of a batch, to tell who waits.

        Nothing much, unless the daemon itself has more to do than it can.
        """
        return self._telling_s / self._told if self._told else 0.0

    def needed_s(self, size: int) -> float:
        """How long it takes, but for one in ten, until the last of a batch has its answer."""
        needed_s = self.estimate.p90_s(size) + self.telling_s * size
        return min(needed_s, self.control.objective_s)

    def p99_s(self, size: int) -> float:
        """How long it takes, but for one in a hundred."""
        return min(self.estimate.p99_s(size), self.control.objective_s)

    def free_in_s(self, now: float) -> float:
        """How long it is busy; one that is overdue is expected to be as late again."""
        return abs(self.busy_until - now) if self.is_busy else 0.0

    def done_within(self, seconds: float, waiting: int, now: float) -> int:
        """How many of those that wait it would have done by then, one batch after another."""
        size = min(waiting, self.limit)
        batch_s = self.mean_s(size)
        left_s = seconds - self.free_in_s(now)
        if left_s <= batch_s:
            return 0
        return min(int(left_s / batch_s) * size, waiting) if batch_s else size

    def started(self, size: int, now: float) -> None:
        """It has a batch in hand from now on."""
        self.is_busy = True
        self._taken = size
        self.busy_until = now + self.mean_s(size)
        self.worked_at = now

    def free(self, now: float, waiting: int) -> None:
        """It begins to wait for a batch."""
        self.free_since = now
        self.answered, self.found = self._taken, waiting

    def observe(self, size: int, latency_s: float) -> None:
        """Its batch took so long."""
        self.batches += 1
        self.queries += size
        self.control.observe(size, latency_s)
        self.estimate.observe(size, latency_s)

    def told(self, size: int, seconds: float) -> None:
        """The last of a batch had its answer so long after the outputs were there."""
        kept = 1 - FORGETTING
        self._told = kept * self._told + size
        self._telling_s = kept * self._telling_s + seconds
