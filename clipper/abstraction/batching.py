"""How many queries may go into one batch.

The batch size limit of a replica is found by additive increase, multiplicative decrease against the
latency objective (Clipper, NSDI '17, "Dynamic Batch Size"). The limit grows by two while a full
batch stays clearly below the objective, holds in a dead band of ten per cent under it, and shrinks
by ten per cent past it: the optimum moves little, so the steep back-off of TCP would waste
throughput. The latency of a batch is measured from the moment it is formed until its outputs are
there; the wait in the queue is no part of it, for then overload would shrink the batches.

Where we differ from the paper's rule:

* A batch that was not full says nothing about a larger limit, so only full batches raise it; else
  light load would fold the limit onto whatever batches happened to be formed.
* A part-full batch lowers it only when the batch before it was late as well: one late batch is a
  hiccup of the machine, two in a row are the model. A limit that never came down without full
  batches could stay too high for ever once a model has become slower.
* The objective is a share of the SLO, because decoding, the wire and the answer need time too.
"""

import math
from typing import Protocol

BUDGET = 0.9
"""Share of the SLO that a batch may take."""


class BatchControl(Protocol):
    """Decides the batch size limit of one replica."""

    objective_s: float

    @property
    def batch_size(self) -> int:
        """The limit now, at least 1."""

    def observe(self, size: int, latency_s: float) -> None:
        """Learn from one batch."""


class Aimd:
    """Additive increase, multiplicative decrease; `1 <= limit <= maximum` always holds."""

    def __init__(self, objective_s: float, *, start: float = 1.0, maximum: int = 8192) -> None:
        self.objective_s = objective_s
        self.limit = start
        self.maximum = maximum
        self.increment = 2.0
        self.backoff = 0.9
        self.dead_band = 0.1
        self._was_late = False

    @property
    def batch_size(self) -> int:
        """The limit as a whole number."""
        return int(self.limit)

    def observe(self, size: int, latency_s: float) -> None:
        """Back off past the objective, else probe one step further."""
        is_full = size >= self.batch_size
        is_late = latency_s > self.objective_s
        if is_late and (is_full or self._was_late):
            self.limit = max(1.0, math.floor(self.limit * self.backoff))
        elif is_full and latency_s < self.objective_s * (1 - self.dead_band):
            self.limit = min(self.limit + self.increment, self.maximum)
        self._was_late = is_late


class FixedSize:
    """A size that the model's owner chose."""

    def __init__(self, size: int) -> None:
        self.objective_s = math.inf
        self.batch_size = size

    def observe(self, size: int, latency_s: float) -> None:
        """Nothing to learn."""
