"""Exact bounds on a rate of which only a sample is known.

Clopper and Pearson (1934), "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
Binomial": a rate is ruled out if it gives so few events with a probability below 1 - CONFIDENCE.
Their bound is a quantile of a beta distribution; here the binomial's tail is solved by bisection.
"""

import math

CONFIDENCE = 0.95
"""Of a bound to one side."""


def at_most(events: int, trials: int, rate: float) -> float:
    """The probability of so many events or fewer, for a rate between 0 and 1."""
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    return math.fsum(
        math.exp(_log_choices(trials, k) + k * log_rate + (trials - k) * log_rest)
        for k in range(events + 1)
    )


def _log_choices(trials: int, events: int) -> float:
    lgamma = math.lgamma
    return lgamma(trials + 1) - lgamma(events + 1) - lgamma(trials - events + 1)


def upper_bound(events: int, trials: int) -> float:
    """The largest rate that is not ruled out."""
    if events == trials:
        return 1.0
    low, high = events / trials, 1.0
    while low < (middle := (low + high) / 2) < high:
        if at_most(events, trials, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def trials_for(events: int, rate: float) -> int:
    """The fewest trials among which so many events still rule out a rate as high as this."""
    low = high = events  # too few trials: nothing is ruled out
    while at_most(events, high, rate) > 1 - CONFIDENCE:
        low, high = high, 2 * high + 1
    while high - low > 1:
        middle = (low + high) // 2
        if at_most(events, middle, rate) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high
