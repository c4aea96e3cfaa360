"""The dispatcher: one batch at a time, everybody settled once, nobody hurt by a neighbour."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from clipper.abstraction.batching import Aimd, BatchControl, FixedSize
from clipper.abstraction.dispatcher import Dispatcher, Replica
from clipper.abstraction.latency import LatencyEstimate
from clipper.abstraction.member import Member
from clipper.abstraction.queue import BatchQueue, Task
from clipper.abstraction.scheduler import Scheduler
from clipper.abstraction.slices import SLICE
from clipper.core.clock import loop_clock
from clipper.core.errors import DeadlineExceeded, ModelFailed, ReplicaFailed, Shed
from clipper.core.metrics import ModelStats
from clipper.core.tasks import Tasks
from clipper.core.types import BatchOutputs, Input, Output, ReplicaId
from tests.fakes.callers import Asked, Caller
from tests.fakes.replica import REPLICA, Behaviour, FakeReplica

pytestmark = pytest.mark.looptime

TIMEOUT_S = 30.0


class Rig:
    """A queue and the dispatchers that drain it; made inside the loop of a test."""

    def __init__(self) -> None:
        self.stats = ModelStats()
        self.queue = BatchQueue(1000, 1_000_000, loop_clock(), self.stats)
        self.scheduler = Scheduler(self.queue)
        self.tasks = Tasks()

    def drain_to(self, replica: Replica, control: BatchControl | None = None) -> Dispatcher:
        """A dispatcher that is not running yet."""
        member = Member(control or FixedSize(32), LatencyEstimate())
        return Dispatcher(replica, self.scheduler, member, TIMEOUT_S)

    def run(
        self, replica: Replica, control: BatchControl | None = None
    ) -> tuple[Dispatcher, "asyncio.Task[None]"]:
        """A running one."""
        dispatcher = self.drain_to(replica, control)
        return dispatcher, self.tasks.spawn("dispatch", dispatcher.run(), is_awaited=True)

    def ask(self, *data: bytes, deadline: float = 100.0) -> list[Asked]:
        """Queue a task for each."""
        asked = [Asked(one, deadline) for one in data]
        for one in asked:
            self.scheduler.submit(one.task)
        return asked


def values(asked: list[Asked]) -> list[object]:
    return [one.caller.value for one in asked]


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_what_waits_goes_as_one_batch_and_everybody_gets_their_own_answer() -> None:
    rig, replica = Rig(), FakeReplica()
    asked = rig.ask(b"1", b"2", b"3")
    rig.run(replica)
    await asyncio.sleep(0.02)
    assert replica.batches == [[b"1", b"2", b"3"]]
    assert values(asked) == [1, 2, 3]
    await rig.tasks.cancel()


async def test_while_a_batch_is_with_the_replica_the_rest_waits() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=1.0))
    rig.run(replica)
    rig.ask(b"1")
    await asyncio.sleep(0.5)
    rig.ask(b"2", b"3")
    await asyncio.sleep(2.0)
    assert replica.batches == [[b"1"], [b"2", b"3"]]
    await rig.tasks.cancel()


async def test_a_batch_is_no_larger_than_the_limit_of_its_control() -> None:
    rig, replica = Rig(), FakeReplica()
    asked = rig.ask(*numbers(5))
    rig.run(replica, FixedSize(2))
    await asyncio.sleep(1)
    assert [len(batch) for batch in replica.batches] == [2, 2, 1]
    assert values(asked) == [0, 1, 2, 3, 4]
    await rig.tasks.cancel()


async def test_the_control_learns_from_the_batch_and_not_from_the_wait() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=0.014))
    control = Aimd(0.02)
    rig.ask(*numbers(9))
    await asyncio.sleep(10)  # the queue's time is not the replica's
    rig.run(replica, control)
    await asyncio.sleep(1)
    assert [len(batch) for batch in replica.batches] == [1, 3, 5]
    assert control.batch_size == 7
    assert rig.stats.limits == {0: 7}
    await rig.tasks.cancel()


async def test_two_replicas_share_a_queue_and_the_slow_one_takes_less() -> None:
    rig = Rig()
    slow, fast = FakeReplica(Behaviour(fixed_s=1.0)), FakeReplica(Behaviour(fixed_s=0.1))
    rig.run(slow, FixedSize(1))
    rig.run(fast, FixedSize(1))
    await asyncio.sleep(0.01)
    asked = rig.ask(*numbers(11))
    await asyncio.sleep(1.5)
    assert len(slow.batches) == 1
    assert len(fast.batches) == 10
    assert sorted(map(str, values(asked))) == sorted(map(str, range(11)))
    await rig.tasks.cancel()


async def test_a_task_that_expires_in_the_queue_never_reaches_the_replica() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=1.0))
    rig.run(replica)
    rig.ask(b"1")
    await asyncio.sleep(0.1)
    (expired,) = rig.ask(b"2", deadline=0.5)
    await asyncio.sleep(3)
    assert replica.batches == [[b"1"]]
    assert isinstance(expired.caller.outcome, DeadlineExceeded)
    await rig.tasks.cancel()


async def test_one_poison_input_costs_its_31_neighbours_nothing() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(poison={b"13"}))
    asked = rig.ask(*numbers(32))
    rig.run(replica)
    await asyncio.sleep(1)
    outcomes = [one.caller.outcome for one in asked]
    assert isinstance(outcomes[13], ModelFailed)
    assert outcomes[13].message == "ValueError: b'13'"
    assert [one.caller.value for one in asked if one is not asked[13]] == [
        number for number in range(32) if number != 13
    ]
    assert len(replica.batches) <= 11, "halves, not one by one"
    assert rig.stats.predictions == 31
    await rig.tasks.cancel()


async def test_where_every_input_is_poison_everybody_learns_why() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(poison=set(numbers(8))))
    asked = rig.ask(*numbers(8))
    rig.run(replica)
    await asyncio.sleep(1)
    messages = [str(one.caller.outcome) for one in asked]
    assert messages == [f"ValueError: b'{number}'" for number in range(8)]
    await rig.tasks.cancel()


async def test_a_poisoned_replica_stays_usable() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(poison={b"1"}))
    rig.run(replica)
    rig.ask(b"1")
    await asyncio.sleep(1)
    (good,) = rig.ask(b"2")
    await asyncio.sleep(1)
    assert good.caller.value == 2
    await rig.tasks.cancel()


async def test_who_ran_out_of_time_is_not_tried_again_with_a_half() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=1.0, poison={b"0"}))
    asked = rig.ask(b"0", b"1", deadline=0.5) + rig.ask(b"2", b"3")
    rig.run(replica)
    await asyncio.sleep(10)
    assert [type(one.caller.outcome) for one in asked[:2]] == [DeadlineExceeded] * 2
    assert values(asked[2:]) == [2, 3]
    assert replica.batches == [[b"0", b"1", b"2", b"3"], [b"2"], [b"3"]]
    await rig.tasks.cancel()


async def test_who_left_is_not_tried_again_with_a_half() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=1.0, poison={b"0"}))
    asked = rig.ask(*numbers(4))
    rig.run(replica)
    await asyncio.sleep(0.5)
    asked[3].task.waiters.clear()
    await asyncio.sleep(10)
    assert asked[3].caller.told == []
    assert asked[3].settled == [None], "what was in flight is settled all the same"
    assert all(b"3" not in batch for batch in replica.batches[1:])
    await rig.tasks.cancel()


async def test_a_caller_who_leaves_does_not_hurt_its_batch() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=1.0))
    asked = rig.ask(b"1", b"2", b"3")
    rig.run(replica)
    await asyncio.sleep(0.5)
    asked[1].task.waiters.clear()
    await asyncio.sleep(1)
    assert [one.caller.told for one in asked] == [[Output(1, b"1")], [], [Output(3, b"3")]]
    assert asked[1].settled == [Output(2, b"2")], "its output is still worth caching"
    assert rig.stats.late == 1
    await rig.tasks.cancel()


async def test_when_the_replica_breaks_off_its_batch_goes_back_and_the_dispatcher_ends() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(lethal={b"2"}))
    asked = rig.ask(b"1", b"2", b"3")
    _, running = rig.run(replica)
    with pytest.raises(ReplicaFailed, match="broke off"):
        await running
    assert len(rig.queue) == 3
    assert [one.caller.told for one in asked] == [[], [], []]
    assert rig.stats.retried == 3
    assert rig.stats.limits == {}


async def test_what_broke_a_replica_is_tried_once_more_alone_and_then_given_up() -> None:
    rig, behaviour = Rig(), Behaviour(lethal={b"2"})
    asked = rig.ask(b"1", b"2", b"3")
    lives = [FakeReplica(behaviour) for _ in range(3)]
    for life in lives[:2]:
        with pytest.raises(ReplicaFailed):
            await rig.drain_to(life).run()
    rig.run(lives[2])
    await asyncio.sleep(1)
    assert lives[0].batches == [[b"1", b"2", b"3"]]
    assert lives[1].batches == [[b"1"], [b"2"]]
    assert lives[2].batches == [[b"3"]]
    assert (asked[0].caller.value, asked[2].caller.value) == (1, 3)
    assert isinstance(asked[1].caller.outcome, ReplicaFailed)
    await rig.tasks.cancel()


async def test_what_comes_back_too_late_is_settled_instead_of_queued() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=1.0, lethal={b"1"}))
    (asked,) = rig.ask(b"1", deadline=0.5)
    with pytest.raises(ReplicaFailed):
        await rig.drain_to(replica).run()
    assert isinstance(asked.caller.outcome, DeadlineExceeded)
    assert len(rig.queue) == 0


async def test_what_nobody_waits_for_any_more_does_not_come_back() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=1.0, lethal={b"1"}))
    (asked,) = rig.ask(b"1")
    _, running = rig.run(replica)
    await asyncio.sleep(0.5)
    asked.task.waiters.clear()
    with pytest.raises(ReplicaFailed):
        await running
    assert asked.settled == [None]
    assert len(rig.queue) == 0


async def test_a_replica_that_breaks_off_amid_halves_gives_back_only_who_has_no_answer() -> None:
    rig, behaviour = Rig(), Behaviour(poison={b"0"})
    asked, replica = rig.ask(*numbers(4)), FakeReplica(behaviour)
    _, running = rig.run(replica)
    await asyncio.sleep(0.015)
    behaviour.lethal = {b"3"}  # the whole batch has failed, its first half is on its way
    with pytest.raises(ReplicaFailed):
        await running
    assert replica.batches == [numbers(4), [b"0", b"1"], [b"0"], [b"1"], [b"2", b"3"]]
    assert isinstance(asked[0].caller.outcome, ModelFailed)
    assert asked[1].caller.value == 1
    assert [one.task for one in asked[2:]] == rig.queue.pop(1)[0] + rig.queue.pop(1)[0]


async def test_a_replica_that_hangs_is_given_up_after_the_timeout() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(hangs=True))
    (asked,) = rig.ask(b"1")
    started = asyncio.get_running_loop().time()
    message = "m:1#0 did not answer a batch of 1 within 30 s."
    with pytest.raises(ReplicaFailed, match=message):
        await rig.drain_to(replica).run()
    assert asyncio.get_running_loop().time() - started == pytest.approx(TIMEOUT_S)
    assert len(rig.queue) == 1
    assert asked.caller.told == []


async def test_a_dispatcher_that_is_cancelled_gives_its_batch_back() -> None:
    rig = Rig()
    asked = rig.ask(b"1", b"2")
    _, running = rig.run(FakeReplica(Behaviour(fixed_s=1.0)))
    await asyncio.sleep(0.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(rig.queue) == 2
    rig.run(FakeReplica())
    await asyncio.sleep(1)
    assert values(asked) == [1, 2]
    await rig.tasks.cancel()


async def test_a_stop_with_nothing_in_hand_ends_it_at_once() -> None:
    rig = Rig()
    dispatcher, running = rig.run(FakeReplica())
    await asyncio.sleep(1)
    dispatcher.stop()
    await running
    assert rig.stats.limits == {}


async def test_a_stop_waits_for_the_batch_in_hand_and_takes_no_other() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=1.0))
    dispatcher, running = rig.run(replica)
    (in_hand,) = rig.ask(b"1")
    await asyncio.sleep(0.5)
    (queued,) = rig.ask(b"2")
    dispatcher.stop()
    await running
    assert in_hand.caller.value == 1
    assert queued.caller.told == []
    assert len(rig.queue) == 1


async def test_a_stop_before_the_start_takes_nothing() -> None:
    rig, replica = Rig(), FakeReplica()
    rig.ask(b"1")
    dispatcher = rig.drain_to(replica)
    dispatcher.stop()
    await dispatcher.run()
    assert replica.batches == []
    assert len(rig.queue) == 1


async def test_two_lives_of_one_replica_may_overlap() -> None:
    rig = Rig()
    old, ending = rig.run(FakeReplica(Behaviour(fixed_s=1.0)))
    rig.ask(b"1")
    await asyncio.sleep(0.5)
    old.stop()
    new, running = rig.run(FakeReplica())
    await ending
    new.stop()
    await running


class Broken:
    """A replica whose code has a fault that nobody foresaw."""

    id: ReplicaId = REPLICA

    async def predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        raise RuntimeError("the stream is closed")


async def test_an_error_that_nobody_foresaw_ends_the_replica_and_loses_no_task() -> None:
    rig = Rig()
    (asked,) = rig.ask(b"1")
    with pytest.raises(ReplicaFailed, match=r"m:1#0 broke off: RuntimeError: the stream is closed"):
        await rig.drain_to(Broken()).run()
    assert len(rig.queue) == 1
    rig.run(FakeReplica())
    await asyncio.sleep(1)
    assert asked.caller.value == 1
    await rig.tasks.cancel()


async def test_a_caller_that_raises_takes_no_other_down_with_it() -> None:
    rig, replica = Rig(), FakeReplica()
    asked = rig.ask(*numbers(3))

    def fail(outcome: object) -> None:
        raise RuntimeError("a fault of the caller's")

    asked[1].task.waiters.insert(0, fail)
    rig.run(replica)
    await asyncio.sleep(1)
    assert [len(one.caller.told) for one in asked] == [1, 0, 1]
    assert [len(one.settled) for one in asked] == [1, 1, 1]
    (later,) = rig.ask(b"4")
    await asyncio.sleep(1)
    assert later.caller.value == 4
    await rig.tasks.cancel()


async def test_who_waits_is_told_in_slices_and_the_next_batch_goes_out_first() -> None:
    rig, replica = Rig(), FakeReplica()
    seen: list[tuple[int, int]] = []

    def settled(task: Task, output: Output | None) -> None:
        seen.append((len(replica.batches), len(seen)))

    for number in range(3 * SLICE):
        task = Task(Input(b"%d" % number), 100.0, settled, [Caller()])
        rig.scheduler.submit(task)
    rig.run(replica, FixedSize(2 * SLICE))
    await asyncio.sleep(0.015)
    assert len(seen) == 2 * SLICE
    assert {batches for batches, _ in seen} == {2}, "the second was with the replica already"
    await rig.tasks.cancel()


async def test_the_numbers_add_up() -> None:
    rig, replica = Rig(), FakeReplica(Behaviour(fixed_s=0.5, poison={b"1"}))
    rig.ask(b"0", b"1")
    await asyncio.sleep(1)
    rig.run(replica)
    await asyncio.sleep(5)
    stats = rig.stats
    assert (stats.batches, stats.failed_batches, stats.predictions) == (1, 2, 1)
    assert (stats.batch_size.count, stats.batch_size.total) == (1, 2)
    assert (stats.queue_wait.count, stats.rpc.count) == (2, 1)
    assert stats.queue_wait.total == pytest.approx(2.0)
    assert stats.rpc.total == pytest.approx(0.5)
    assert stats.model_time.total == pytest.approx(0.5)
    await rig.tasks.cancel()


async def overload(replica: FakeReplica) -> float:
    """Ask ten times what a replica can do; returns the share of its work that was in time."""
    rig = Rig()
    now = asyncio.get_running_loop().time
    in_time = 0

    def settled(task: Task, output: Output | None) -> None:
        nonlocal in_time
        in_time += output is not None and now() <= task.deadline

    rig.run(replica, FixedSize(1, objective_s=0.09))
    for number in range(1000):
        data = Input(b"%d" % number)
        with suppress(Shed):
            rig.scheduler.submit(Task(data, now() + 0.1, settled, [Caller()]))
        await asyncio.sleep(replica.behaviour.fixed_s / 10)
    await asyncio.sleep(1.0)
    await rig.tasks.cancel()
    return in_time / len(replica.batches)


async def test_under_overload_nearly_all_that_is_predicted_is_in_time() -> None:
    assert await overload(FakeReplica(Behaviour(fixed_s=0.02))) > 0.9


async def test_a_model_slower_than_every_deadline_is_asked_all_the_same() -> None:
    replica = FakeReplica(Behaviour(fixed_s=0.3))
    assert await overload(replica) == 0.0
    assert len(replica.batches) > 90, "late outputs are good for the cache"
