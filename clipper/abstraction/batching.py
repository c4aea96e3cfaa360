"""How many queries may go into one batch: three controllers, of which a model version has one.

**Aimd** finds the limit by additive increase, multiplicative decrease against the latency objective
(Clipper, NSDI '17, "Dynamic Batch Size"). The limit grows by two while a full batch stays clearly
below the objective, holds in a dead band of ten per cent under it, and shrinks by ten per cent past
it: the optimum moves little, so the steep back-off of TCP would waste throughput. The latency of a
batch is measured from the moment it is formed until its outputs are there; the wait in the queue is
no part of it, for then overload would shrink the batches.

Where we differ from the paper's rule:

* A batch that was not full says nothing about a larger limit, so only full batches raise it; else
  light load would fold the limit onto whatever batches happened to be formed.
* A part-full batch lowers it only when the batch before it was late as well: one late batch is a
  hiccup of the machine, two in a row are the model. A limit that never came down without full
  batches could stay too high for ever once a model has become slower.
* The limit grows by a tenth where that is more than two, and doubles after a full batch that took
  less than half of the objective. Latency is linear in the size, so that neither can make a batch
  late; steps of two would take hundreds of batches to where a cheap model's limit is.
* The objective is a share of the SLO, because decoding, the wire and the answer need time too.

**Quantile** (the same section's alternative) fits the 99th percentile of latency as a line over the
size by quantile regression, and takes the size at which the line meets the objective. It explores
as Aimd does until it has seen enough.

**FixedSize** is a size that the model's owner chose.
"""

import math
from typing import Protocol

from clipper.abstraction.latency import LatencyEstimate
from clipper.abstraction.quantiles import QuantileLine
from clipper.core.types import DEFAULT_BATCH_SIZE, Model

BUDGET = 0.9
"""Share of the SLO that a batch may take."""
MAX_LIMIT = 8192
SEED_SHARE = 0.9
"""A limit that is computed from an earlier life's latencies begins so far below what they allow."""


class BatchControl(Protocol):
    """Decides the batch size limit of one replica."""

    objective_s: float

    @property
    def batch_size(self) -> int:
        """The limit now, at least 1."""

    def observe(self, size: int, latency_s: float) -> None:
        """Learn from one batch."""

    def explain(self) -> str:
        """Why the limit is what it is, in one sentence."""


class Aimd:
    """Additive increase, multiplicative decrease; `1 <= limit <= maximum` always holds."""

    def __init__(self, objective_s: float, *, start: float = 1.0, maximum: int = MAX_LIMIT) -> None:
        self.objective_s = objective_s
        self.limit = min(max(start, 1.0), maximum)
        self.maximum = maximum
        self.increment = 2.0
        self.backoff = 0.9
        self.dead_band = 0.1
        self._was_late = False
        self._last_change = ("", 0, 0.0)
        """What was done to the limit, and after which batch."""

    @property
    def batch_size(self) -> int:
        """The limit as a whole number."""
        return int(self.limit)

    def observe(self, size: int, latency_s: float) -> None:
        """Back off past the objective, else probe further."""
        is_full = size >= self.batch_size
        is_late = latency_s > self.objective_s
        if is_late and (is_full or self._was_late):
            self.limit = max(1.0, math.floor(self.limit * self.backoff))
            self._last_change = ("lowered", size, latency_s)
        elif is_full and latency_s < self.objective_s * (1 - self.dead_band):
            self.limit = min(self._raised(latency_s), self.maximum)
            self._last_change = ("raised", size, latency_s)
        elif is_full:
            self._last_change = ("held", size, latency_s)
        self._was_late = is_late

    def _raised(self, latency_s: float) -> float:
        factor = 2.0 if latency_s < self.objective_s / 2 else 1 + self.dead_band
        return max(self.limit * factor, self.limit + self.increment)

    def explain(self) -> str:
        """What the last batch that mattered did to the limit."""
        change, size, latency_s = self._last_change
        reason = f"{change} after a batch of {size} took {latency_s * 1e3:.1f} ms"
        objective = f"the objective is {self.objective_s * 1e3:.1f} ms"
        return f"{reason if change else 'no full batch yet'}; {objective}"


class Quantile:
    """The size at which the 99th percentile of latency meets the objective.

    Never more than twice the largest batch that the fit is of: beyond, the line is a guess.
    """

    def __init__(self, objective_s: float, *, start: float = 1.0, maximum: int = MAX_LIMIT) -> None:
        self.objective_s = objective_s
        self.maximum = maximum
        self.line = QuantileLine()
        self._exploring = Aimd(objective_s, start=start, maximum=maximum)

    @property
    def batch_size(self) -> int:
        """The fitted limit, or the one of the exploration while there is no fit."""
        line = self.line
        if not line.is_fitted:
            return self._exploring.batch_size
        known = min(2 * line.largest, self.maximum)
        room_s = self.objective_s - line.fixed_s
        if line.per_item_s * known <= room_s:
            return known
        return max(1, int(room_s / line.per_item_s))

    def observe(self, size: int, latency_s: float) -> None:
        """Take a batch into the fit."""
        self.line.observe(size, latency_s)
        if not self.line.is_fitted:
            self._exploring.objective_s = self.objective_s
            self._exploring.observe(size, latency_s)

    def explain(self) -> str:
        """The fitted line, or how far the exploration is."""
        line = self.line
        if not line.is_fitted:
            return f"exploring, {line.samples} of {line.needed} batches seen"
        return (
            f"99 % of batches take at most {line.fixed_s * 1e3:.2f} ms and "
            f"{line.per_item_s * 1e3:.3f} ms for each query; "
            f"the objective is {self.objective_s * 1e3:.1f} ms"
        )


class FixedSize:
    """A size that the model's owner chose."""

    def __init__(self, size: int, objective_s: float = math.inf) -> None:
        self.objective_s = objective_s
        self.batch_size = size

    def observe(self, size: int, latency_s: float) -> None:
        """Nothing to learn."""

    def explain(self) -> str:
        """The owner's choice."""
        return "fixed by the model's owner"


def make_control(model: Model, objective_s: float, estimate: LatencyEstimate) -> BatchControl:
    """The controller that a model version asks for, begun from what is known of its latency."""
    if model.batch_size != DEFAULT_BATCH_SIZE:
        return FixedSize(model.batch_size, objective_s)
    make = Quantile if model.controller == "quantile" else Aimd
    return make(objective_s, start=seed(estimate, objective_s))


def seed(estimate: LatencyEstimate, objective_s: float) -> float:
    """Where a limit begins: what the line allows, not far beyond the largest batch ever seen."""
    if not estimate.samples or objective_s <= estimate.p99_s(1):
        return 1.0
    slope_s = estimate.per_item_s * estimate.p99
    room_s = objective_s - estimate.fixed_s * estimate.p99
    allowed = room_s / slope_s if slope_s * 2 * estimate.largest > room_s else 2 * estimate.largest
    return max(1.0, SEED_SHARE * allowed)
