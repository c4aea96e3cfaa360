"""Goodput: what share of the offered queries a model answers in time, simulated in virtual time.

A batch takes `beta + alpha * size`, with noise. The capacity is that of the largest batch that,
noise included, fits into the objective; arrivals are a Poisson process, or come in bursts.
"""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.layer import Limits, ModelAbstractionLayer
from clipper.core.errors import ClipperError, Overloaded
from clipper.core.metrics import Metrics
from clipper.core.tasks import Tasks
from clipper.core.types import BatchOutputs, Input, InputType, Model, ModelId, Output, ReplicaId

pytestmark = pytest.mark.looptime

SLO_S = 0.05
WARM_UP = 0.3
"""Share of the queries that are not counted: limits are found while they come."""


class NoisyReplica:
    """Takes 5 ms a batch and a time for each query, five per cent more or less, now and then half
    as long again."""

    def __init__(self, alpha_s: float, rng: np.random.Generator) -> None:
        self.id = ReplicaId(ModelId("m", "1"), 0)
        self.alpha_s = alpha_s
        self._rng = rng

    def batch_s(self, size: int) -> float:
        return 0.005 + self.alpha_s * size

    @property
    def capacity(self) -> float:
        """Queries a second with the largest batch that is in time."""
        largest = int((SLO_S / 1.12 - 0.005) / self.alpha_s)
        return largest / self.batch_s(largest)

    async def predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        noise = float(np.exp(self._rng.normal(0, 0.05))) * (1.5 if self._rng.random() < 0.01 else 1)
        await asyncio.sleep(self.batch_s(len(inputs)) * noise)
        return BatchOutputs([Output(1, b"1")] * len(inputs), 0.0)


async def offer(
    replica: NoisyReplica, gaps_s: NDArray[np.float64], slos_s: Sequence[float] = (SLO_S,)
) -> NDArray[np.bool_]:
    """Whether each query was answered by the model in time."""
    metrics, tasks, loop = Metrics(), Tasks(), asyncio.get_running_loop()
    layer = ModelAbstractionLayer(PredictionCache(0, metrics.cache), Limits(), metrics)
    served = layer.add(Model(ModelId("m", "1"), InputType.BYTES))
    served.set_slo(min(slos_s))
    tasks.spawn("serve", served.serve(served.dispatcher(replica)))
    await asyncio.sleep(0)
    in_time = np.zeros(len(gaps_s), bool)
    for number, at in enumerate(loop.time() + np.cumsum(gaps_s)):
        if at > loop.time():
            await asyncio.sleep(at - loop.time())
        deadline = at + slos_s[number % len(slos_s)]

        def note(
            outcome: Output | ClipperError, number: int = number, deadline: float = deadline
        ) -> None:
            in_time[number] = isinstance(outcome, Output) and loop.time() <= deadline

        try:
            served.predict(Input(number.to_bytes(4, "little")), deadline, note)
        except Overloaded:
            continue
    await asyncio.sleep(1)
    await tasks.cancel()
    return in_time


def poisson(rate: float, count: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).exponential(1 / rate, count)


def bursts(rate: float, count: int, seed: int = 1) -> NDArray[np.float64]:
    """Gamma-distributed gaps whose deviation is four times their mean."""
    return np.random.default_rng(seed).gamma(1 / 16, 16 / rate, count)


def goodput(in_time: NDArray[np.bool_]) -> float:
    return float(in_time[int(WARM_UP * len(in_time)) :].mean())


@pytest.fixture
def cheap() -> NoisyReplica:
    """A twentieth of a millisecond a query: hundreds fit into a batch."""
    return NoisyReplica(0.00005, np.random.default_rng(7))


@pytest.fixture
def dear() -> NoisyReplica:
    """A millisecond a query: some forty fit."""
    return NoisyReplica(0.001, np.random.default_rng(7))


async def test_below_capacity_nearly_everybody_is_answered(dear: NoisyReplica) -> None:
    assert goodput(await offer(dear, poisson(0.7 * dear.capacity, 4000))) > 0.99


async def test_at_capacity_most_are_answered(dear: NoisyReplica, cheap: NoisyReplica) -> None:
    assert goodput(await offer(dear, poisson(dear.capacity, 6000))) > 0.8
    assert goodput(await offer(cheap, poisson(cheap.capacity, 10_000))) > 0.8


async def test_at_twice_the_capacity_the_model_answers_nearly_as_many_as_it_can(
    dear: NoisyReplica, cheap: NoisyReplica
) -> None:
    assert goodput(await offer(dear, poisson(2 * dear.capacity, 6000))) > 0.42
    assert goodput(await offer(cheap, poisson(2 * cheap.capacity, 10_000))) > 0.42


async def test_bursts_are_served_as_far_as_they_can_be(dear: NoisyReplica) -> None:
    assert goodput(await offer(dear, bursts(dear.capacity, 6000))) > 0.6
    assert goodput(await offer(dear, bursts(2 * dear.capacity, 6000))) > 0.38


async def test_patient_queries_do_not_cost_the_impatient_theirs(dear: NoisyReplica) -> None:
    in_time = await offer(dear, poisson(1.2 * dear.capacity, 8000), (SLO_S, 5 * SLO_S))
    assert goodput(in_time) > 0.7


async def test_two_seconds_after_an_overload_everything_is_as_before(dear: NoisyReplica) -> None:
    calm, flood = 0.6 * dear.capacity, 5 * dear.capacity
    rates = [(calm, 1.0), (flood, 2.0), (calm, 5.0)]
    parts = [poisson(rate, int(rate * for_s)) for rate, for_s in rates]
    in_time = await offer(dear, np.concatenate(parts))
    afterwards = in_time[-int(calm * 3.0) :]
    assert afterwards.mean() > 0.99
