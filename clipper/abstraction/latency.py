"""How long a batch takes, by its size: learned online from every batch of one replica.

The latency of a batch is close to linear in its size (Clipper, NSDI '17, "Adaptive Batching"):
`fixed + per_item * size`. The line is fitted by least squares in which the past fades with every
batch. How far the slow batches lie above it, their tail, is told by percentiles of the ratio
between what was seen and what was predicted, over a window.

Invariants, for they decide whether queries are dropped:

* Both coefficients are never negative, and the tails are between 1 and `TAIL_MAX`.
* Batches of one size say nothing about the slope; it then stays what it was.
* One wild batch is a hiccup of the machine and moves the line no further than one of twice the
  predicted latency would. Three in a row are a new truth: the line starts again from them.
"""

from bisect import bisect_left, insort
from collections import deque

import msgspec

FADING = 0.98
"""What a batch's weight is multiplied by with each later batch: the last 50 count."""
WINDOW = 100
TAIL_MAX = 3.0
STRANGE = 2.0
"""A latency so many times above or below the prediction does not fit it."""
STRANGE_MAX = 3
SLOPE_INERTIA = 0.01
"""How much spread of sizes, in squares of their mean, outweighs the slope that is known."""


class Profile(msgspec.Struct, frozen=True):
    """What is known of a model version's latency; kept in the store across restarts."""

    fixed_s: float
    per_item_s: float
    p90: float
    """So many times the line, but for one batch in ten."""
    p99: float
    largest: int
    """The largest batch that was seen: beyond twice that the line is a guess."""


class LatencyEstimate:
    """The latency of one replica's batches; `samples` is 0 while nothing at all is known."""

    def __init__(self, profile: Profile | None = None) -> None:
        self.fixed_s = 0.0
        self.per_item_s = 0.0
        self.p90 = self.p99 = 1.0
        self.largest = 0
        self.samples = 0
        self._sums = (0.0,) * 5
        self._ratios: deque[float] = deque()
        self._sorted: list[float] = []
        """The same ratios by size."""
        self._strange: list[tuple[int, float]] = []
        if profile is not None:
            self.fixed_s, self.per_item_s = profile.fixed_s, profile.per_item_s
            self.p90, self.p99, self.largest = profile.p90, profile.p99, profile.largest
            self.samples = 1

    def mean_s(self, size: int) -> float:
        """How long a batch of this size takes as a rule; 0 while nothing is known."""
        return self.fixed_s + self.per_item_s * size

    def p90_s(self, size: int) -> float:
        """How long it takes at most, but for one in ten."""
        return (self.fixed_s + self.per_item_s * size) * self.p90

    def p99_s(self, size: int) -> float:
        """How long it takes at most, but for one in a hundred."""
        return (self.fixed_s + self.per_item_s * size) * self.p99

    @property
    def is_doubted(self) -> bool:
        """Whether the last batch did not fit, so that the next ones decide what to believe."""
        return bool(self._strange)

    @property
    def profile(self) -> Profile:
        """What was learned."""
        return Profile(self.fixed_s, self.per_item_s, self.p90, self.p99, self.largest)

    def observe(self, size: int, latency_s: float) -> None:
        """Learn from one batch."""
        predicted_s = self.mean_s(size)
        self.largest = max(self.largest, size)
        if not predicted_s:
            self._restart([(size, latency_s)])
            return
        ratio = latency_s / predicted_s
        if 1 / STRANGE <= ratio <= STRANGE:
            self._strange.clear()
        else:
            self._strange.append((size, latency_s))
            if len(self._strange) == STRANGE_MAX:
                self._restart(self._strange)
                return
        self.samples += 1
        self._note(ratio)
        self._fit(size, min(latency_s, STRANGE * predicted_s))

    def _restart(self, batches: list[tuple[int, float]]) -> None:
        """Keep the line's shape, which three batches cannot tell, and scale it to what they took.

        Where there was no line, the first batch's latency is taken for a fixed one.
        """
        batches = list(batches)
        self._strange.clear()
        self._ratios.clear()
        self._sorted.clear()
        self._sums = (0.0,) * 5
        self.samples = len(batches)
        self.p90 = self.p99 = 1.0
        predicted_s = sum(self.mean_s(size) for size, _ in batches)
        taken_s = sum(latency_s for _, latency_s in batches)
        if predicted_s:
            self.fixed_s *= taken_s / predicted_s
            self.per_item_s *= taken_s / predicted_s
        else:
            self.fixed_s = taken_s / len(batches)
        for size, latency_s in batches:
            self._fit(size, latency_s)

    def _fit(self, size: int, latency_s: float) -> None:
        sums = self._sums
        weight = FADING * sums[0] + 1.0
        sizes = FADING * sums[1] + size
        latencies = FADING * sums[2] + latency_s
        squares = FADING * sums[3] + size * size
        products = FADING * sums[4] + size * latency_s
        self._sums = (weight, sizes, latencies, squares, products)
        size_mean, latency_mean = sizes / weight, latencies / weight
        spread = max(squares / weight - size_mean * size_mean, 0.0)
        covariance = products / weight - size_mean * latency_mean
        inertia = SLOPE_INERTIA * size_mean * size_mean
        slope = (covariance + inertia * self.per_item_s) / (spread + inertia)
        # Neither may be negative: a line through the mean that is as steep as it can be.
        self.per_item_s = min(max(slope, 0.0), latency_mean / size_mean)
        self.fixed_s = latency_mean - self.per_item_s * size_mean

    def _note(self, ratio: float) -> None:
        """Of a hundred the second largest is the 99th percentile; of few, one may be a hiccup."""
        ratios, by_size = self._ratios, self._sorted
        ratios.append(ratio)
        insort(by_size, ratio)
        if len(ratios) > WINDOW:
            del by_size[bisect_left(by_size, ratios.popleft())]
        self.p90 = min(max(by_size[int(0.9 * (len(by_size) - 1))], 1.0), TAIL_MAX)
        worst = by_size[-2] if len(by_size) >= WINDOW // 2 else min(by_size[-1], STRANGE)
        self.p99 = min(max(worst, 1.0), TAIL_MAX)
