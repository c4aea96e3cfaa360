"""Quantile regression of batch latency over batch size, for one straight line.

The line `fixed + per_item * size` below which a share q of the points lies minimises the pinball
loss (Koenker and Bassett, 1978, "Regression Quantiles"). For a given slope the best intercept is
the q-quantile of what the slope leaves over; what remains is convex in the slope alone, so that a
golden-section search finds it. Slope and intercept are kept from being negative.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QUANTILE = 0.99
NEEDED = 200
"""Batches before the first fit; of a hundred, the 99th percentile would be the largest."""
WINDOW = 1000
REFIT_EVERY = 50
GOLDEN = (5**0.5 - 1) / 2
SEARCH_STEPS = 40
SPREAD_MIN = 0.05
"""Sizes that vary less than this share of their mean say nothing about the slope."""


def quantile_line(sizes: Floats, latencies_s: Floats, q: float) -> tuple[float, float]:
    """(intercept, slope) of the q-quantile of latency over size; neither is negative."""
    low, high = 0.0, float(np.max(latencies_s / sizes))
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    losses = [_loss(sizes, latencies_s, slope, q) for slope in inner]
    for _ in range(SEARCH_STEPS):
        if losses[0] <= losses[1]:
            high = inner[1]
            inner = [high - GOLDEN * (high - low), inner[0]]
            losses = [_loss(sizes, latencies_s, inner[0], q), losses[0]]
        else:
            low = inner[0]
            inner = [inner[1], low + GOLDEN * (high - low)]
            losses = [losses[1], _loss(sizes, latencies_s, inner[1], q)]
    slope = (low + high) / 2
    return _intercept(sizes, latencies_s, slope, q), slope


def _intercept(sizes: Floats, latencies_s: Floats, slope: float, q: float) -> float:
    rest = latencies_s - slope * sizes
    rank = min(int(q * len(rest)), len(rest) - 1)
    return max(float(np.partition(rest, rank)[rank]), 0.0)


def _loss(sizes: Floats, latencies_s: Floats, slope: float, q: float) -> float:
    above = latencies_s - slope * sizes - _intercept(sizes, latencies_s, slope, q)
    return float(np.sum(np.where(above >= 0, q * above, (q - 1) * above)))


class QuantileLine:
    """The 99th percentile of the latency of recent batches, refitted now and then."""

    needed = NEEDED

    def __init__(self) -> None:
        self.fixed_s = 0.0
        self.per_item_s = 0.0
        self.samples = 0
        self.largest = 0
        """The largest batch among those that the fit is of."""
        self.is_fitted = False
        """Never, while all batches have about one size."""
        self._recent: deque[tuple[int, float]] = deque(maxlen=WINDOW)

    def observe(self, size: int, latency_s: float) -> None:
        """Take in one batch."""
        self._recent.append((size, latency_s))
        self.samples += 1
        if self.samples >= NEEDED and self.samples % REFIT_EVERY == 0:
            self._fit()

    def _fit(self) -> None:
        points = np.array(self._recent)
        sizes, latencies_s = points[:, 0], points[:, 1]
        if np.std(sizes) >= SPREAD_MIN * np.mean(sizes):
            self.fixed_s, self.per_item_s = quantile_line(sizes, latencies_s, QUANTILE)
            self.is_fitted = True
        elif self.is_fitted:
            self.fixed_s = _intercept(sizes, latencies_s, self.per_item_s, QUANTILE)
        self.largest = int(np.max(sizes))
