"""How a cost grows with a number: measured at several sizes in turn, judged by its exponent.

The exponent is the slope of log cost over log size, by least squares: 0 where the size does not
matter, 1 where twice the size costs twice as much. A look-up may not grow at all; anything else may
grow in proportion. There a fixed part hides what the rest does, so that the steepest step from one
size to the next is judged; what outweighs the fixed part only beyond the largest size stays hidden.
What breaks a rule is measured again before it is believed.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from costs.asking import Tally, counted, settle_down

FLAT = 0.07
"""The largest exponent of what is called flat: ten times the size may cost 17 % more, as it does
where objects are so many that the processor's caches cannot hold them. A loop over a thousand of
them at 20 ns each would give 0.08."""
LINEAR = 1.1
RETRIES = 2

Round = Callable[[], Awaitable[float]]
"""Measures once, in microseconds."""


@dataclass(frozen=True, slots=True)
class Case:
    """A cost, and what it may depend on."""

    size_of: str
    """What grows."""
    cost_of: str
    """What it costs then, for one of what."""
    sizes: Sequence[int]
    is_lookup: bool
    open: Callable[[Tally, int], AbstractAsyncContextManager[Round]]
    """Prepares a size; the tally counts answers."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Costs by size, in microseconds."""

    size_of: str
    cost_of: str
    is_lookup: bool
    costs_us: dict[int, float]

    @property
    def exponent(self) -> float:
        """From the cheapest size on: before that, something is shared by more and more."""
        costs = list(self.costs_us.items())
        rising = costs[costs.index(min(costs, key=lambda one: one[1])) :]
        if len(rising) == 1:
            return 0.0
        xs = [math.log(size) for size, _ in rising]
        ys = [math.log(cost) for _, cost in rising]
        x, y = sum(xs) / len(xs), sum(ys) / len(ys)
        spread = sum((one - x) ** 2 for one in xs)
        return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / spread

    @property
    def steepest(self) -> float:
        """The exponent of the steepest step."""
        steps = list(self.costs_us.items())
        return max(
            math.log(cost / before) / math.log(size / smaller)
            for (smaller, before), (size, cost) in pairwise(steps)
        )

    @property
    def verdict(self) -> str:
        """`flat`, `grows`, or `grows faster than linearly`."""
        if self.steepest > LINEAR:
            return "grows faster than linearly"
        return "grows" if self.exponent > FLAT else "flat"

    @property
    def is_allowed(self) -> bool:
        """Whether it grows no more than it may."""
        return self.verdict == "flat" or (self.verdict == "grows" and not self.is_lookup)


async def grow_all(cases: Sequence[Case], rounds: int) -> list[Growth]:
    """The costs of each case."""
    return [await grow(case, rounds) for case in cases]


async def grow(case: Case, rounds: int) -> Growth:
    """The costs of a case."""
    for _ in range(RETRIES):
        growth = await _grow(case, rounds)
        if growth.is_allowed:
            return growth
    return await _grow(case, 2 * rounds)


async def _grow(case: Case, rounds: int) -> Growth:
    """All sizes in turn in every round, so that what else happens hits them alike."""
    async with AsyncExitStack() as stack:
        tally = stack.enter_context(counted())
        measure = {
            size: await stack.enter_async_context(case.open(tally, size)) for size in case.sizes
        }
        settle_down()
        samples: dict[int, list[float]] = {size: [] for size in case.sizes}
        for one in measure.values():
            await one()  # to warm up
        for _ in range(rounds):
            for size, one in measure.items():
                samples[size].append(await one())
    costs_us = {size: median(costs) for size, costs in samples.items()}
    return Growth(case.size_of, case.cost_of, case.is_lookup, costs_us)
