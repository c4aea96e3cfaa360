"""Hedging: the slowest queries are copied to a second replica, never beyond the budget."""

import asyncio

import pytest

from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.hedging import SAVED_MAX, Hedges
from clipper.abstraction.layer import Limits, ModelAbstractionLayer
from clipper.core.metrics import Metrics
from clipper.core.tasks import Tasks
from clipper.core.types import Input, InputType, Model, ModelId, ReplicaId
from tests.fakes.callers import Asked, Caller
from tests.fakes.replica import Behaviour, FakeReplica

pytestmark = pytest.mark.looptime

SHARE = 0.05


def spent(hedges: Hedges, wanted: int) -> int:
    return len(hedges.spend([Asked().task for _ in range(wanted)]))


def test_without_a_share_nothing_is_ever_copied() -> None:
    hedges = Hedges()
    hedges.earn(1_000_000)
    assert spent(hedges, 100) == 0


def test_copies_are_paid_for_in_advance() -> None:
    hedges = Hedges()
    hedges.share = SHARE
    assert spent(hedges, 1) == 0
    hedges.earn(100)
    assert spent(hedges, 100) == 5
    assert spent(hedges, 100) == 0
    hedges.earn(40)
    assert spent(hedges, 1) == 1
    assert spent(hedges, 9) == 1


def test_quiet_times_save_up_for_a_while_only() -> None:
    hedges = Hedges()
    hedges.share = SHARE
    hedges.earn(10_000_000)
    assert spent(hedges, 10_000) == SAVED_MAX


class Rig:
    """A model with two replicas, one of which may be slowed; made inside the loop of a test."""

    def __init__(self, hedging: float) -> None:
        metrics = Metrics()
        layer = ModelAbstractionLayer(PredictionCache(0, metrics.cache), Limits(), metrics)
        model = Model(ModelId("m", "1"), InputType.STRINGS, batch_size=1, hedging=hedging)
        self.served = layer.add(model)
        self.tasks = Tasks()
        self.behaviours = [Behaviour(fixed_s=0.01), Behaviour(fixed_s=0.01)]
        self.replicas = [
            FakeReplica(behaviour, ReplicaId(model.id, index))
            for index, behaviour in enumerate(self.behaviours)
        ]

    async def start(self) -> None:
        for replica in self.replicas:
            serving = self.served.serve(self.served.dispatcher(replica))
            self.tasks.spawn(f"serve {replica.id}", serving, is_awaited=True)
        await asyncio.sleep(0)

    async def ask(self, number: int, patience_s: float = 0.0, slo_s: float = 0.1) -> Caller:
        """A query, and what became of it after so long."""
        caller = Caller()
        deadline = asyncio.get_running_loop().time() + slo_s
        self.served.predict(Input(b"%d" % number), deadline, caller)
        await asyncio.sleep(patience_s)
        return caller

    @property
    def asked(self) -> int:
        """How often any replica was asked."""
        return sum(len(replica.batches) for replica in self.replicas)


async def hiccup(hedging: float) -> tuple[Rig, Caller]:
    """After a thousand good queries a replica stalls for half a second with the next one."""
    rig = Rig(hedging)
    await rig.start()
    for number in range(1000):
        await rig.ask(number, 0.011)
    for behaviour in rig.behaviours:
        behaviour.fixed_s = 0.5
    caller = await rig.ask(1000)
    await asyncio.sleep(0)
    for behaviour in rig.behaviours:
        behaviour.fixed_s = 0.01
    await asyncio.sleep(0.05)
    return rig, caller


async def test_a_query_whose_replica_stalls_is_answered_by_the_other() -> None:
    rig, caller = await hiccup(SHARE)
    assert caller.value == 1000
    assert rig.served.stats.hedged == 1
    await asyncio.sleep(1)
    assert len(caller.told) == 1, "the first replica's output changes nothing any more"
    assert "queued=0 in_flight=0" in repr(rig.served)
    await rig.tasks.cancel()


async def test_without_hedging_it_waits_for_its_replica() -> None:
    rig, caller = await hiccup(0.0)
    assert caller.told == []
    assert rig.asked == 1001
    await rig.tasks.cancel()


async def test_where_everything_is_slow_the_budget_is_kept() -> None:
    rig = Rig(SHARE)
    await rig.start()
    for number in range(2000):
        slow = number % 3 == 0
        for behaviour in rig.behaviours:
            behaviour.fixed_s = 0.045 if slow else 0.01
        await rig.ask(number, 0.05)
    assert 0 < rig.served.stats.hedged <= SHARE * 2000
    assert rig.asked <= 2000 * (1 + SHARE)
    await rig.tasks.cancel()


async def test_a_copy_on_which_the_model_raises_does_not_end_the_other() -> None:
    rig = Rig(SHARE)
    await rig.start()
    for number in range(1000):
        await rig.ask(number, 0.011)
    rig.behaviours[0].fixed_s = rig.behaviours[1].fixed_s = 0.06
    caller = await rig.ask(1000)
    await asyncio.sleep(0)
    for behaviour in rig.behaviours:
        behaviour.fixed_s, behaviour.poison = 0.01, {b"1000"}
    await asyncio.sleep(0.03)
    for behaviour in rig.behaviours:
        behaviour.poison = set()
    assert caller.told == []
    await asyncio.sleep(0.1)
    assert caller.value == 1000
    await rig.tasks.cancel()


async def busy_with_two(rig: Rig) -> list[Caller]:
    """The replicas have a query each, for half a second and for one, after a thousand good ones."""
    await rig.start()
    for number in range(1000):
        await rig.ask(number, 0.011)
    callers = []
    for number, seconds in ((1000, 0.5), (1001, 1.0)):
        for behaviour in rig.behaviours:
            behaviour.fixed_s = seconds
        callers.append(await rig.ask(number, 0.001, slo_s=10.0))
    return callers


async def test_what_is_answered_is_not_asked_again_although_its_copy_waits() -> None:
    rig = Rig(SHARE)
    callers = await busy_with_two(rig)
    await asyncio.sleep(0.4)
    assert rig.served.stats.hedged == 2
    await asyncio.sleep(5)
    assert [caller.value for caller in callers] == [1000, 1001]
    asked = [data for replica in rig.replicas for batch in replica.batches for data in batch]
    assert asked.count(b"1000") == 1
    await rig.tasks.cancel()


async def test_what_waits_already_is_not_queued_a_second_time() -> None:
    rig = Rig(SHARE)
    await busy_with_two(rig)
    waiting = Asked(b"1002", asyncio.get_running_loop().time() + 10.0).task
    rig.served.scheduler.submit(waiting)
    waiting.sent = 1  # as a probe that stays in the queue for others
    rig.served.scheduler.hedge([waiting])
    assert rig.served.stats.hedged == 0
    assert rig.served.stats.queue_depth == 1
    await rig.tasks.cancel()
