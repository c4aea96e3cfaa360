"""Means with an interval that may be looked at whenever one likes.

A common confidence interval holds for one look, at a number of observations fixed before. Whoever
looks after every query, and decides once it seems clear, is wrong far more often than it says. A
confidence sequence holds at all times at once: with probability 1 - alpha the true mean is never
outside (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences"; it is exact for many observations, and near for few).
"""

import math
from typing import NamedTuple

ALPHA = 0.05
SHARPEST_AT = 500
"""Observations at which the interval is narrowest, compared with a common one."""
PRIOR_VARIANCE = 0.25
"""Of one observation that was not made: the most that a loss in [0, 1] can have."""


class Interval(NamedTuple):
    """Of a mean."""

    low: float
    high: float


class Sample(NamedTuple):
    """Numbers in [0, 1]: how many, their sum, and the sum of their squares."""

    number: float
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """0 of none."""
        return self.total / self.number if self.number else 0.0

    @property
    def variance(self) -> float:
        """With the one observation of the prior."""
        spread = max(self.squares - self.number * self.mean**2, 0.0)
        return (spread + PRIOR_VARIANCE) / (self.number + 1)

    def interval(self, alpha: float = ALPHA) -> Interval:
        """Where the true mean is, whenever one looks, with probability 1 - alpha."""
        if not self.number:
            return Interval(0.0, 1.0)
        half = half_width(self.number, self.variance, alpha)
        return Interval(max(self.mean - half, 0.0), min(self.mean + half, 1.0))


def half_width(count: float, variance: float, alpha: float) -> float:
    """Half the interval around the mean of so many observations."""
    log_alpha = -2 * math.log(alpha)
    rho_squared = (log_alpha + math.log(log_alpha + 1)) / SHARPEST_AT
    scaled = count * rho_squared + 1
    return math.sqrt(
        variance * 2 * scaled / (count**2 * rho_squared) * math.log(math.sqrt(scaled) / alpha)
    )


def difference(one: Sample, other: Sample, alpha: float = ALPHA) -> Interval:
    """By how much the mean of one is above that of the other, at all times at once."""
    if not (one.number and other.number):
        return Interval(-1.0, 1.0)
    half = half_width(one.number, one.variance, alpha / 2)
    half += half_width(other.number, other.variance, alpha / 2)
    between = one.mean - other.mean
    return Interval(max(between - half, -1.0), min(between + half, 1.0))
