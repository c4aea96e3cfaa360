"""The highest rate at which a system answers 99 % of its queries in time, in an open loop.

Coarse steps first, by a factor of 1.5 up or down from a guess, until one rate is held and the next is
not; then bisection to 5 %. A rate counts as held if one of two tries holds it, and a run in which the
generator was late itself is repeated: what else the machine does should not decide. Every run is
recorded.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from open_loop import Target, poisson, run
from outcomes import Summary
from peers.closed_loop import runs
from peers.contest import Endpoint

SHARE = 0.99
FACTOR = 1.5
PRECISION = 1.05
TRIES = 2
RELIABLE_TRIES = 2
LOWEST_RATE = 10.0
CONNECTIONS = 1024

Holds = Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Goodput:
    """What a search found."""

    rate: float
    """The highest rate offered that was held; 0 where not even the lowest one was."""
    steps: list[dict[str, object]]
    is_reliable: bool
    """Whether the generator kept its schedule in every run that decided something."""


def highest(holds: Holds, guess: float) -> float:
    """The highest rate that holds, to 5 %; 0 where the lowest does not."""
    held, failed = bracket(holds, max(guess, LOWEST_RATE))
    while held and failed / held > PRECISION:
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


def goodput(
    endpoint: Endpoint, slo_s: float, guess: float, seconds: float, rng: np.random.Generator
) -> Goodput:
    """Search from a guess on, with runs of so many seconds."""
    steps: list[dict[str, object]] = []

    def holds(rate: float) -> bool:
        for _ in range(TRIES):
            summary = reliable(lambda: offer(endpoint, rate, seconds, slo_s, rng))
            steps.append({"rate": rate, **asdict(summary)})
            if summary.goodput_share >= SHARE:
                return True
        return False

    rate = highest(holds, guess)
    return Goodput(rate, steps, all(step["is_reliable"] for step in steps))


def reliable(measure: Callable[[], Summary]) -> Summary:
    """A run in which the generator kept its schedule, if there is one."""
    for _ in range(RELIABLE_TRIES):
        summary = measure()
        if summary.is_reliable:
            break
    return summary


def offer(
    endpoint: Endpoint, rate: float, seconds: float, slo_s: float, rng: np.random.Generator
) -> Summary:
    """One run at one rate."""
    at_s = poisson(rate, seconds, rng)
    requests = endpoint.payload.requests(len(at_s), next(runs))
    target = Target("127.0.0.1", endpoint.port, requests, endpoint.marker)
    return run([target], at_s, connections=CONNECTIONS, patience_s=1.0).summary(slo_s)
