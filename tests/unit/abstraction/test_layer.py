"""The model abstraction layer: cache, then join, then queue; one computation for equal inputs."""

import asyncio
from dataclasses import replace

import pytest

from clipper.abstraction.batching import BUDGET, Aimd, FixedSize
from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.layer import (
    DEFAULT_SLO_S,
    Limits,
    ModelAbstractionLayer,
    Near,
    ServedModel,
)
from clipper.abstraction.queue import Task
from clipper.core.errors import ModelFailed, QueueFull, ReplicaFailed, ReplicaUnavailable
from clipper.core.metrics import Metrics
from clipper.core.tasks import Tasks
from clipper.core.types import Input, InputType, Model, ModelId, Output, ReplicaId
from tests.fakes.callers import Caller
from tests.fakes.replica import Behaviour, FakeReplica

pytestmark = pytest.mark.looptime

MODEL = Model(ModelId("m", "1"), InputType.STRINGS)
ONE = Input(b"1")


class Rig:
    """A layer with one model and any number of replicas of it; made inside the loop of a test."""

    def __init__(self, limits: Limits | None = None, model: Model = MODEL) -> None:
        self.metrics = Metrics()
        cache = PredictionCache(1 << 20, self.metrics.cache)
        self.layer = ModelAbstractionLayer(cache, limits or Limits(), self.metrics)
        self.served = self.layer.add(model)
        self.tasks = Tasks()

    async def start(self, behaviour: Behaviour | None = None, index: int = 0) -> FakeReplica:
        """A replica that takes batches from now on."""
        replica = FakeReplica(behaviour, ReplicaId(self.served.id, index))
        serving = self.served.serve(self.served.dispatcher(replica))
        self.tasks.spawn(f"serve {replica.id}", serving, is_awaited=True)
        await asyncio.sleep(0)
        return replica

    def ask(
        self, input: Input = ONE, deadline: float = 100.0
    ) -> tuple[Output | Near | Task, Caller]:
        """What `predict` returned, and who waits if it is a task."""
        caller = Caller()
        return self.served.predict(input, deadline, caller), caller


async def test_without_a_replica_it_says_so_at_once() -> None:
    with pytest.raises(ReplicaUnavailable, match=r"No replica of m:1 is ready\."):
        Rig().ask()


async def test_a_miss_is_computed_and_then_remembered() -> None:
    rig = Rig()
    replica = await rig.start()
    _, caller = rig.ask()
    await asyncio.sleep(1)
    assert caller.value == 1
    found, nobody = rig.ask()
    assert found == Output(1, b"1")
    assert nobody.told == []
    assert replica.batches == [[b"1"]]
    stats = rig.served.stats
    assert (stats.cache_misses, stats.cache_hits, stats.joined) == (1, 1, 0)
    await rig.tasks.cancel()


async def test_what_is_cached_is_answered_without_any_replica() -> None:
    rig = Rig()
    await rig.start()
    rig.ask()
    await asyncio.sleep(1)
    await rig.tasks.cancel()
    assert rig.served.live == 0
    assert rig.ask()[0] == Output(1, b"1")


async def test_identical_queries_in_flight_are_computed_once_and_all_answered() -> None:
    rig = Rig()
    replica = await rig.start(Behaviour(fixed_s=1.0))
    callers = [rig.ask()[1]]
    await asyncio.sleep(0.5)  # the first is with the replica by now
    callers += [rig.ask()[1] for _ in range(9)]
    await asyncio.sleep(1)
    assert [caller.value for caller in callers] == [1] * 10
    assert replica.batches == [[b"1"]]
    assert (rig.served.stats.cache_misses, rig.served.stats.joined) == (1, 9)
    await rig.tasks.cancel()


async def test_joining_takes_no_room_in_a_full_queue() -> None:
    rig = Rig(Limits(queue=1))
    await rig.start(Behaviour(fixed_s=1.0))
    rig.ask(Input(b"in hand"))
    await asyncio.sleep(0.5)
    _, first = rig.ask()
    _, second = rig.ask()
    with pytest.raises(QueueFull):
        rig.ask(Input(b"2"))
    await asyncio.sleep(2)
    assert (first.value, second.value) == (1, 1)
    await rig.tasks.cancel()


async def test_a_refused_query_leaves_nothing_to_join() -> None:
    rig = Rig(Limits(queue=1))
    await rig.start(Behaviour(fixed_s=1.0))
    rig.ask(Input(b"in hand"))
    await asyncio.sleep(0.5)
    rig.ask(Input(b"queued"))
    for _ in range(2):
        with pytest.raises(QueueFull):
            rig.ask()
    await asyncio.sleep(5)
    _, caller = rig.ask()
    await asyncio.sleep(5)
    assert caller.value == 1
    await rig.tasks.cancel()


async def test_the_leaving_of_one_waiter_does_not_hurt_the_others() -> None:
    rig = Rig()
    await rig.start(Behaviour(fixed_s=1.0))
    task, leaver = rig.ask()
    _, stayer = rig.ask()
    assert isinstance(task, Task)
    rig.served.withdraw(task, leaver)
    await asyncio.sleep(2)
    assert leaver.told == []
    assert stayer.value == 1
    await rig.tasks.cancel()


async def test_a_queued_query_that_every_waiter_left_never_reaches_a_replica() -> None:
    rig = Rig()
    replica = await rig.start(Behaviour(fixed_s=1.0))
    rig.ask(Input(b"in hand"))
    await asyncio.sleep(0.5)
    (task, first), (_, second) = rig.ask(), rig.ask()
    assert isinstance(task, Task)
    rig.served.withdraw(task, first)
    rig.served.withdraw(task, second)
    rig.served.withdraw(task, second)  # once is enough
    assert rig.served.stats.queue_depth == 0
    await asyncio.sleep(5)
    assert replica.batches == [[b"in hand"]]
    await rig.tasks.cancel()


async def test_who_asks_again_after_a_withdrawal_is_answered() -> None:
    rig = Rig()
    await rig.start(Behaviour(fixed_s=1.0))
    rig.ask(Input(b"in hand"))
    await asyncio.sleep(0.5)
    task, leaver = rig.ask()
    assert isinstance(task, Task)
    rig.served.withdraw(task, leaver)
    _, caller = rig.ask()
    await asyncio.sleep(5)
    assert caller.value == 1
    await rig.tasks.cancel()


async def test_a_result_that_comes_after_everybody_left_enters_the_cache() -> None:
    rig = Rig()
    replica = await rig.start(Behaviour(fixed_s=1.0))
    task, leaver = rig.ask()
    assert isinstance(task, Task)
    await asyncio.sleep(0.5)
    rig.served.withdraw(task, leaver)
    await asyncio.sleep(1)
    assert leaver.told == []
    assert rig.served.stats.late == 1
    assert rig.ask()[0] == Output(1, b"1")
    assert replica.batches == [[b"1"]]
    await rig.tasks.cancel()


async def test_who_joins_what_everybody_left_while_it_was_computed_is_answered() -> None:
    rig = Rig()
    replica = await rig.start(Behaviour(fixed_s=1.0))
    task, leaver = rig.ask()
    assert isinstance(task, Task)
    await asyncio.sleep(0.5)
    rig.served.withdraw(task, leaver)
    _, caller = rig.ask()
    await asyncio.sleep(1)
    assert caller.value == 1
    assert len(replica.batches) == 1
    await rig.tasks.cancel()


async def test_a_joined_query_with_a_later_deadline_keeps_the_task_alive() -> None:
    rig = Rig()
    await rig.start(Behaviour(fixed_s=1.0))
    rig.ask(Input(b"in hand"))
    await asyncio.sleep(0.1)
    rig.ask(deadline=0.5)
    _, patient = rig.ask(deadline=5.0)
    rig.ask(deadline=0.2)
    await asyncio.sleep(5)
    assert patient.value == 1
    assert rig.served.stats.expired == 0
    await rig.tasks.cancel()


async def test_a_failure_is_told_to_all_who_joined_and_not_remembered() -> None:
    rig, behaviour = Rig(), Behaviour(poison={b"1"})
    await rig.start(behaviour)
    callers = [rig.ask()[1] for _ in range(3)]
    await asyncio.sleep(1)
    assert [type(caller.outcome) for caller in callers] == [ModelFailed] * 3
    behaviour.poison.clear()
    _, caller = rig.ask()
    await asyncio.sleep(1)
    assert caller.value == 1
    await rig.tasks.cancel()


async def test_a_replica_that_breaks_off_is_not_live_and_the_other_takes_over() -> None:
    rig = Rig()
    await rig.start(Behaviour(fixed_s=1.0, lethal={b"1"}), 0)
    _, caller = rig.ask()
    await asyncio.sleep(0.5)
    await rig.start(Behaviour(fixed_s=0.1), 1)
    assert rig.served.live == 2
    await asyncio.sleep(1)
    assert rig.served.live == 1
    assert caller.value == 1
    assert "live=1 queued=0 in_flight=0" in repr(rig.served)
    await rig.tasks.cancel()


async def test_a_task_that_ends_two_replicas_is_given_up_and_can_be_asked_again() -> None:
    rig = Rig()
    for index in range(2):
        await rig.start(Behaviour(lethal={b"1"}), index)
    _, caller = rig.ask()
    await asyncio.sleep(1)
    assert isinstance(caller.outcome, ReplicaFailed)
    assert rig.served.live == 0
    assert "queued=0 in_flight=0" in repr(rig.served)


async def test_a_deleted_model_fails_what_waits_and_forgets_its_outputs() -> None:
    rig = Rig()
    await rig.start(Behaviour(fixed_s=1.0))
    rig.ask(Input(b"known"))
    await asyncio.sleep(2)
    _, in_hand = rig.ask()
    await asyncio.sleep(0.5)
    _, queued = rig.ask(Input(b"2"))
    rig.layer.remove(MODEL.id)
    assert isinstance(queued.outcome, ReplicaUnavailable)
    await asyncio.sleep(2)
    assert in_hand.value == 1, "what a replica has in hand is answered"
    assert rig.metrics.cache.entries == rig.metrics.cache.bytes == 0
    assert MODEL.id not in rig.layer.models
    assert MODEL.id not in rig.metrics.models
    await rig.tasks.cancel()


async def test_a_model_that_is_added_again_starts_afresh() -> None:
    rig = Rig()
    await rig.start()
    rig.ask()
    await asyncio.sleep(1)
    rig.layer.remove(MODEL.id)
    again = rig.layer.add(MODEL)
    assert again is not rig.served
    with pytest.raises(ReplicaUnavailable):
        again.predict(ONE, 100.0, Caller())
    await rig.tasks.cancel()


async def test_to_remove_a_model_that_is_not_there_is_no_error() -> None:
    Rig().layer.remove(ModelId("other", "1"))


async def test_adding_a_served_model_replaces_its_record_only() -> None:
    rig = Rig()
    labelled = replace(MODEL, labels=("a",))
    assert rig.layer.add(labelled) is rig.served
    assert rig.served.model.labels == ("a",)


def objective_of(served: ServedModel) -> float:
    return served.dispatcher(FakeReplica()).member.control.objective_s


async def test_batches_are_sized_for_a_share_of_the_slo() -> None:
    rig = Rig()
    assert objective_of(rig.served) == pytest.approx(DEFAULT_SLO_S * BUDGET)
    rig.served.set_slo(0.02)
    assert objective_of(rig.served) == pytest.approx(0.02 * BUDGET)
    rig.served.set_slo(None)
    assert objective_of(rig.served) == pytest.approx(DEFAULT_SLO_S * BUDGET)


async def test_a_new_slo_reaches_replicas_that_run() -> None:
    rig = Rig()
    dispatcher = rig.served.dispatcher(FakeReplica())
    rig.tasks.spawn("serve", rig.served.serve(dispatcher))
    await asyncio.sleep(1)
    rig.served.set_slo(0.5)
    assert dispatcher.member.control.objective_s == pytest.approx(0.5 * BUDGET)
    await rig.tasks.cancel()


async def test_each_replica_finds_its_own_limit_unless_the_size_is_fixed() -> None:
    adaptive, fixed = Rig(), Rig(model=replace(MODEL, batch_size=7))
    one = adaptive.served.dispatcher(FakeReplica()).member.control
    other = adaptive.served.dispatcher(FakeReplica()).member.control
    assert isinstance(one, Aimd)
    assert one is not other
    control = fixed.served.dispatcher(FakeReplica()).member.control
    assert isinstance(control, FixedSize)
    assert control.batch_size == 7
