"""The scheduler: who takes which batch, and when; who is dropped, and who is refused."""

import asyncio
from collections.abc import Sequence

import pytest

from clipper.abstraction.batching import Aimd, FixedSize
from clipper.abstraction.latency import LatencyEstimate, Profile
from clipper.abstraction.member import Member
from clipper.abstraction.queue import BatchQueue, Task
from clipper.abstraction.scheduler import PROBE_S, Scheduler, Taken
from clipper.core.clock import loop_clock
from clipper.core.errors import QueueFull, Shed
from clipper.core.metrics import ModelStats
from clipper.core.tasks import Tasks
from tests.fakes.callers import Asked

pytestmark = pytest.mark.looptime

LIMIT = 8
OBJECTIVE_S = 1.0


class Rig:
    """A scheduler, and replicas that take what they are given; made inside the loop of a test."""

    def __init__(self, limit: int = 1000) -> None:
        self.stats = ModelStats()
        self.queue = BatchQueue(limit, 1_000_000, loop_clock(), self.stats)
        self.scheduler = Scheduler(self.queue)
        self.tasks = Tasks()
        self.now = asyncio.get_running_loop().time

    def member(self, fixed_s: float = 0.1, per_item_s: float = 0.0, limit: int = LIMIT) -> Member:
        """A replica of known latency that has joined."""
        profile = Profile(fixed_s, per_item_s, 1.0, 1.0, limit)
        member = Member(FixedSize(limit, OBJECTIVE_S), LatencyEstimate(profile))
        self.scheduler.join(member)
        return member

    def take(self, member: Member) -> "asyncio.Task[Taken | None]":
        """It is free, and waits for a batch."""
        return self.tasks.spawn("take", self.scheduler.take(member), is_awaited=True)

    def serve(self, member: Member, fixed_s: float, per_item_s: float = 0.0) -> list[Taken]:
        """It goes on taking batches, each of which takes so long; returns them as they come."""
        batches: list[Taken] = []

        async def run() -> None:
            while taken := await self.scheduler.take(member):
                batches.append(taken)
                started = self.now()
                await asyncio.sleep(fixed_s + per_item_s * len(taken.tasks))
                member.observe(len(taken.tasks), self.now() - started)
                for task in taken.tasks:
                    task.sent -= 1

        self.tasks.spawn("serve", run())
        return batches

    def ask(self, count: int = 1, patience_s: float = 10.0, **fields: object) -> list[Asked]:
        """Queries that came just now."""
        asked = [Asked(b"1", self.now() + patience_s) for _ in range(count)]
        for one in asked:
            self.scheduler.submit(one.task)
        return asked


def tasks(asked: Sequence[Asked]) -> list[Task]:
    return [one.task for one in asked]


async def test_a_replica_waits_for_the_first_query_and_takes_all_that_came_with_it() -> None:
    rig = Rig()
    taking = rig.take(rig.member())
    await asyncio.sleep(3600)
    assert not taking.done()
    asked = rig.ask(2)
    taken = await taking
    assert taken is not None
    assert taken.tasks == tasks(asked)
    assert (taken.batch.size, taken.batch.limit, taken.batch.ended_by) == (2, LIMIT, "queue_empty")
    assert taken.batch.sent_at == rig.now()


async def test_a_replica_that_is_told_to_stop_takes_nothing_more() -> None:
    rig = Rig()
    member = rig.member()
    taking = rig.take(member)
    await asyncio.sleep(1)
    member.is_stopping = True
    rig.scheduler.nudge()
    assert await taking is None
    rig.ask()
    assert await rig.take(member) is None
    assert len(rig.queue) == 1


async def test_a_query_that_comes_as_one_replica_stops_goes_to_another() -> None:
    rig = Rig()
    stopping, staying = rig.member(), rig.member()
    first, second = rig.take(stopping), rig.take(staying)
    await asyncio.sleep(1)
    asked = rig.ask()  # wakes the one that is told to stop in the same moment
    stopping.is_stopping = True
    rig.scheduler.nudge()
    assert await first is None
    taken = await second
    assert taken is not None
    assert taken.tasks == tasks(asked)


async def test_a_replica_that_is_cancelled_as_it_is_woken_wakes_another() -> None:
    rig = Rig()
    doomed, other = rig.take(rig.member()), rig.take(rig.member())
    await asyncio.sleep(1)
    asked = rig.ask()
    doomed.cancel()
    taken = await other
    assert taken is not None
    assert taken.tasks == tasks(asked)
    assert doomed.cancelled()


async def test_replicas_that_came_and_went_leave_nothing_to_be_woken() -> None:
    rig = Rig()
    member = rig.member()
    for _ in range(100):
        taking = rig.take(member)
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.sleep(0)
    assert rig.scheduler._idle == []
    asked = rig.ask()
    taken = await rig.take(member)
    assert taken is not None
    assert taken.tasks == tasks(asked)


async def test_what_one_replica_leaves_another_takes() -> None:
    rig = Rig()
    taking = [rig.take(rig.member(limit=1)) for _ in range(3)]
    await asyncio.sleep(1)
    asked = rig.ask(3)
    taken = await asyncio.gather(*taking)
    assert [one.tasks for one in taken if one] == [[task] for task in tasks(asked)]


# Least predicted work


async def test_of_those_who_are_idle_the_fastest_is_woken() -> None:
    rig = Rig()
    slow, fast = rig.take(rig.member(0.11)), rig.take(rig.member(0.10))
    await asyncio.sleep(1)
    rig.ask()
    assert await fast is not None
    assert not slow.done()
    rig.ask()
    assert await slow is not None


async def test_of_equals_the_one_that_has_been_idle_longest_is_woken() -> None:
    rig = Rig()
    first, second = rig.take(rig.member()), rig.take(rig.member())
    await asyncio.sleep(1)
    rig.ask()
    assert await first is not None
    assert not second.done()


async def test_a_slow_replica_leaves_what_a_busy_one_would_have_done_sooner() -> None:
    rig = Rig()
    fast, slow = rig.member(0.1), rig.member(1.0)
    given_to_fast, given_to_slow = rig.serve(fast, 0.1), rig.serve(slow, 1.0)
    for _ in range(9):
        rig.ask(4)
        await asyncio.sleep(0.1)
    assert given_to_slow == []
    assert sum(len(taken.tasks) for taken in given_to_fast) == 36


async def test_a_slow_replica_leaves_all_the_batches_that_others_would_have_done_sooner() -> None:
    rig = Rig()
    fast, slow = rig.member(0.1, limit=4), rig.member(1.0, limit=4)
    given_to_fast, given_to_slow = rig.serve(fast, 0.1), rig.serve(slow, 1.0)
    rig.ask(32)  # eight batches of the fast one: 0.8 s
    await asyncio.sleep(0.9)
    assert sum(len(taken.tasks) for taken in given_to_fast) == 32
    assert given_to_slow == []


async def test_a_slow_replica_takes_what_the_others_would_not_have_done_sooner() -> None:
    rig = Rig()
    fast, slow = rig.member(0.1, limit=1), rig.member(0.35, limit=1)
    given_to_fast, given_to_slow = rig.serve(fast, 0.1), rig.serve(slow, 0.35)
    rig.ask(12)
    await asyncio.sleep(1.0)
    assert len(given_to_slow) in (2, 3)
    assert len(given_to_fast) == 12 - len(given_to_slow)


async def test_a_slow_replica_drops_nobody_whom_another_can_still_answer() -> None:
    rig = Rig()
    fast, slow = rig.member(0.1, limit=4), rig.member(0.9, limit=4)
    rig.serve(fast, 0.1)
    given_to_slow = rig.serve(slow, 0.9)
    asked = rig.ask(12, patience_s=0.5)
    await asyncio.sleep(0.4)
    assert given_to_slow == []
    assert rig.stats.shed == 0
    assert [one.caller.told for one in asked] == [[]] * 12, "all went to the fast one"
    assert len(rig.queue) == 0


async def test_a_replica_that_became_slow_gets_less_and_comes_back_by_being_probed() -> None:
    rig = Rig()
    steady, patient = rig.member(0.05, limit=2), rig.member(0.05, limit=2)
    pace = {"s": 0.05}
    rig.serve(steady, 0.05)

    async def run() -> None:
        while taken := await rig.scheduler.take(patient):
            started = rig.now()
            await asyncio.sleep(pace["s"])
            patient.observe(len(taken.tasks), rig.now() - started)

    rig.tasks.spawn("patient", run())

    async def load(for_s: float) -> int:
        """Nearly what one healthy replica can do; how much of it the patient one did."""
        before, until = patient.queries, rig.now() + for_s
        while rig.now() < until:
            rig.ask(1)
            await asyncio.sleep(0.03)
        return patient.queries - before

    healthy = await load(5)
    pace["s"] = 0.9
    await load(5)
    assert await load(5) < healthy / 10
    assert rig.stats.endings["probe"] >= 0
    pace["s"] = 0.05
    await load(3 * PROBE_S)
    assert await load(5) > healthy / 2


async def test_a_slow_replica_whose_probe_was_fast_has_soon_shown_that_it_recovered() -> None:
    rig = Rig()
    steady, slow = rig.member(0.05, limit=2), rig.member(0.9, limit=2)
    for _ in range(50):
        slow.observe(1, 0.9)
    probed_after = slow.queries
    rig.serve(steady, 0.05)
    rig.serve(slow, 0.05)
    while slow.queries == probed_after:
        rig.ask(1)
        await asyncio.sleep(0.03)
    since_first_probe = rig.now()
    while slow.mean_s(1) > 0.1:
        rig.ask(1)
        await asyncio.sleep(0.03)
    assert rig.now() - since_first_probe < PROBE_S


# Predictive drop and admission


async def test_whoever_would_be_late_in_the_next_batch_is_told_so_and_the_rest_is_served() -> None:
    rig = Rig()
    member = rig.member(0.5)
    late, in_time = rig.ask(patience_s=0.4), rig.ask(2, patience_s=0.6)
    taken = await rig.take(member)
    assert taken is not None
    assert taken.tasks == tasks(in_time)
    await asyncio.sleep(0)
    assert isinstance(late[0].caller.outcome, Shed)
    assert rig.stats.shed == 1


async def test_a_query_that_has_just_come_is_served_however_slow_the_model_is() -> None:
    rig = Rig()
    member = rig.member(3600.0)
    asked = rig.ask(patience_s=OBJECTIVE_S + 0.1)
    taken = await rig.take(member)
    assert taken is not None
    assert taken.tasks == tasks(asked)


async def test_a_model_that_seems_too_slow_for_all_that_ask_is_tried_now_and_then() -> None:
    rig = Rig()
    batches = rig.serve(rig.member(0.5), 0.01)
    for _ in range(100):
        rig.ask(patience_s=0.1)
        await asyncio.sleep(0.1)
    assert len(batches) > 50


async def test_who_joins_one_that_was_dropped_has_its_own_time() -> None:
    rig = Rig()
    member = rig.member(0.5)
    late, in_time = rig.ask(patience_s=0.4), rig.ask(patience_s=0.6)
    taking = rig.take(member)
    while not taking.done():
        await asyncio.sleep(0)
        if late[0].task.deadline < rig.now() + 5 and not late[0].task.is_queued:
            rig.queue.join(late[0].task, rig.now() + 10.0)
    taken = taking.result()
    assert taken is not None
    assert taken.tasks == tasks(in_time)
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        again = await rig.take(member)
    assert again is not None
    assert again.tasks == tasks(late)


async def test_an_arrival_without_a_chance_is_refused_at_once() -> None:
    rig = Rig()
    rig.serve(rig.member(0.5, limit=1), 0.5)
    rig.ask(3, patience_s=5.0)
    await asyncio.sleep(0.1)
    with pytest.raises(Shed, match="The answer would have come too late"):
        rig.ask(patience_s=0.5)
    rig.ask(patience_s=5.0)
    assert (rig.stats.shed, len(rig.queue)) == (1, 3)


async def test_an_arrival_with_too_much_work_ahead_is_refused_at_once() -> None:
    rig = Rig()
    rig.serve(rig.member(0.5, limit=1), 0.5)
    rig.ask(12, patience_s=5.0)
    await asyncio.sleep(0.1)
    with pytest.raises(Shed):
        rig.ask(patience_s=5.0)
    rig.ask(patience_s=0.9)  # before all the others


async def test_those_who_will_be_dropped_are_in_nobodys_way() -> None:
    rig = Rig()
    rig.serve(rig.member(0.5, limit=1), 0.5)
    rig.ask()
    rig.ask(20, patience_s=0.8)  # possible now, but not once the replica is free
    await asyncio.sleep(0.1)
    newcomer = rig.ask(patience_s=1.2)
    await asyncio.sleep(1.0)
    assert newcomer[0].task.batch is not None


async def test_a_replica_that_is_idle_refuses_nobody() -> None:
    rig = Rig(limit=2)
    rig.take(rig.member(0.5))
    await asyncio.sleep(1)
    rig.ask(2, patience_s=0.001)
    with pytest.raises(QueueFull):
        rig.ask()


# Delayed batching


async def test_without_a_wait_a_batch_goes_as_soon_as_there_is_a_query() -> None:
    rig = Rig()
    taking = rig.take(rig.member())
    await asyncio.sleep(1)
    started = rig.now()
    rig.ask()
    await taking
    assert rig.now() == started


async def test_a_batch_that_is_not_full_waits_for_more_from_its_first_query_on() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 0.2
    taking = rig.take(rig.member())
    await asyncio.sleep(1)
    started = rig.now()
    asked = rig.ask()
    await asyncio.sleep(0.15)
    asked += rig.ask(2)
    taken = await taking
    assert taken is not None
    assert rig.now() == pytest.approx(started + 0.2)
    assert taken.tasks == tasks(asked)
    assert taken.batch.ended_by == "wait_expired"


async def test_the_next_batch_waits_no_longer_than_the_first_one_did() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 0.2
    batches = rig.serve(rig.member(0.1), 0.1)
    for number in range(1, 4):
        asked = rig.ask()
        await asyncio.sleep(0.25)
        assert len(batches) == number
        assert batches[-1].tasks == tasks(asked)
        await asyncio.sleep(1)


async def test_a_full_batch_does_not_wait() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 3600
    taking = rig.take(rig.member(limit=4))
    await asyncio.sleep(1)
    rig.ask(3, patience_s=1e6)
    await asyncio.sleep(1)
    assert not taking.done()
    started = rig.now()
    rig.ask(2, patience_s=1e6)
    taken = await taking
    assert taken is not None
    assert rig.now() == started
    assert (len(taken.tasks), taken.batch.ended_by) == (4, "limit")


async def test_the_wait_never_makes_the_first_query_late() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 3600
    taking = rig.take(rig.member(0.1))
    await asyncio.sleep(1)
    started = rig.now()
    rig.ask(patience_s=0.5)
    assert await taking is not None
    assert started + 0.39 < rig.now() < started + 0.4
    assert rig.stats.shed == 0


async def test_the_wait_leaves_time_to_tell_who_waits() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 3600
    member = rig.member(0.1)
    member.told(1, 0.2)  # a daemon that has more to do than it can
    taking = rig.take(member)
    await asyncio.sleep(0.01)
    (only,) = rig.ask(patience_s=1.0)
    async with asyncio.timeout(5):
        taken = await taking
    assert taken is not None
    assert taken.tasks == [only.task]
    assert rig.stats.shed == 0


async def test_a_query_that_has_less_time_than_those_that_wait_is_not_kept_waiting() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 3.0
    taking = rig.take(rig.member(0.1))
    await asyncio.sleep(1)
    rig.ask(patience_s=10.0)
    await asyncio.sleep(0.1)
    hurried = rig.ask(patience_s=0.3)
    await asyncio.sleep(0.25)
    assert taking.done()
    assert hurried[0].task.batch is not None


async def test_what_waited_while_the_replica_was_busy_waits_on_for_those_it_has_answered() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 0.2
    member = rig.member()
    asked = rig.ask()
    await asyncio.sleep(1)
    started = rig.now()
    taking = rig.take(member)
    await asyncio.sleep(0.1)
    asked += rig.ask()
    taken = await taking
    assert taken is not None
    assert rig.now() == pytest.approx(started + 0.2)
    assert taken.tasks == tasks(asked)


@pytest.mark.parametrize(("wait_s", "size"), [(0.0, 4), (0.2, 8)])
async def test_two_groups_who_ask_again_when_they_are_answered_become_one(
    wait_s: float, size: int
) -> None:
    rig = Rig()
    rig.scheduler.wait_s = wait_s
    member = rig.member(1.0, limit=100)
    sizes: list[int] = []

    async def serve() -> None:
        while taken := await rig.scheduler.take(member):
            sizes.append(len(taken.tasks))
            await asyncio.sleep(1.0)
            asyncio.get_running_loop().call_later(0.1, rig.ask, len(taken.tasks))

    serving = rig.tasks.spawn("serve", serve())
    rig.ask(4)
    await asyncio.sleep(0.5)
    rig.ask(4)
    await asyncio.sleep(20)
    assert sizes[-2:] == [size, size]
    serving.cancel()


async def test_a_batch_does_not_wait_when_all_have_come_who_are_known_to_ask() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 1.0
    member = rig.member(0.1, limit=100)
    rig.ask(4)
    assert await rig.take(member) is not None
    await asyncio.sleep(0.1)
    waiting = rig.ask(2)
    taking = rig.take(member)
    await asyncio.sleep(0.2)
    again = rig.ask(3)
    await asyncio.sleep(0.2)
    assert not taking.done()
    again += rig.ask(1)
    started = rig.now()
    taken = await taking
    assert taken is not None
    assert rig.now() == started
    assert taken.tasks == tasks([*waiting, *again])
    assert taken.batch.ended_by == "queue_empty"


async def test_who_waits_for_a_fuller_batch_and_is_cancelled_leaves_it_to_another() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 0.2
    doomed, other = rig.take(rig.member()), rig.take(rig.member())
    await asyncio.sleep(1)
    asked = rig.ask()
    await asyncio.sleep(0.1)
    doomed.cancel()
    taken = await other
    assert taken is not None
    assert taken.tasks == tasks(asked)


async def test_an_adaptive_limit_that_is_not_known_yet_does_not_wait_for_ever() -> None:
    rig = Rig()
    rig.scheduler.wait_s = 0.2
    member = Member(Aimd(OBJECTIVE_S), LatencyEstimate())
    rig.scheduler.join(member)
    rig.ask()
    taken = await rig.take(member)
    assert taken is not None
    assert taken.batch.ended_by == "limit"
