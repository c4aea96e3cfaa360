"""The highest rate at which a system answers 99 % of its queries in time, in an open loop.

Coarse steps first, by a factor of 1.5 up or down from a guess, until one rate is held and the next
is not; then bisection. A rate counts as held if one of two tries holds it, and a run in which the
generator was late itself is repeated once: what else the machine does should not decide.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from open_loop import Target, poisson, run
from outcomes import Summary
from peers.closed_loop import runs
from peers.contest import Endpoint

SHARE = 0.99
FACTOR = 1.5
TRIES = 2
RELIABLE_TRIES = 2
LOWEST_RATE = 10.0
FEWEST_CONNECTIONS = 32
PATIENCE_S = 1.0

Holds = Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Goodput:
    """What a search found."""

    rate: float
    """The highest rate offered that was held; 0 where not even the lowest one was."""
    steps: list[dict[str, object]]
    is_reliable: bool
    """Whether the generator kept its schedule in every run that decided something."""


def highest(holds: Holds, guess: float, precision: float) -> float:
    """The highest rate that holds, to a factor of `precision`; 0 where the lowest does not."""
    held, failed = bracket(holds, max(guess, LOWEST_RATE))
    while held and failed / held > precision:
        middle = (held * failed) ** 0.5
        if holds(middle):
            held = middle
        else:
            failed = middle
    return held


def bracket(holds: Holds, rate: float) -> tuple[float, float]:
    """A rate that holds (or 0), and a higher one that does not."""
    if holds(rate):
        while holds(rate * FACTOR):
            rate *= FACTOR
        return rate, rate * FACTOR
    while rate > LOWEST_RATE:
        lower = max(rate / FACTOR, LOWEST_RATE)
        if holds(lower):
            return lower, rate
        rate = lower
    return 0.0, rate


@dataclass(frozen=True, slots=True)
class Search:
    """How the rate is searched for."""

    slo_s: float
    guess: float
    """The rate to begin with."""
    precision: float
    """The factor between a rate that is held and one that is not, at the end."""
    seconds: float
    """How long a rate is offered."""


def goodput(endpoint: Endpoint, search: Search, rng: np.random.Generator) -> Goodput:
    """What a system keeps up."""
    steps: list[dict[str, object]] = []

    def holds(rate: float) -> bool:
        for _ in range(TRIES):
            summary = reliable(lambda: offer(endpoint, rate, search, rng))
            steps.append({"rate": rate, **asdict(summary)})
            if summary.goodput_share >= SHARE:
                return True
        return False

    rate = highest(holds, search.guess, search.precision)
    return Goodput(rate, steps, all(step["is_reliable"] for step in steps))


def reliable(measure: Callable[[], Summary]) -> Summary:
    """A run in which the generator kept its schedule, if there is one."""
    for _ in range(RELIABLE_TRIES):
        summary = measure()
        if summary.is_reliable:
            break
    return summary


def offer(endpoint: Endpoint, rate: float, search: Search, rng: np.random.Generator) -> Summary:
    """One run at one rate."""
    at_s = poisson(rate, search.seconds, rng)
    requests = endpoint.payload.requests(len(at_s), next(runs))
    target = Target("127.0.0.1", endpoint.port, requests, endpoint.marker)
    connections = max(FEWEST_CONNECTIONS, math.ceil(rate * search.slo_s))
    outcomes = run([target], at_s, connections=connections, patience_s=PATIENCE_S)
    return outcomes.summary(search.slo_s)
