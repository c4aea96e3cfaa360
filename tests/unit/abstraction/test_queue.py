"""The queue: earliest deadline first, bounded, woken without polling, every task settled once."""

import asyncio

import pytest

from clipper.abstraction.queue import MAX_BATCH_BYTES, BatchQueue
from clipper.core.errors import DeadlineExceeded, QueueFull, ReplicaUnavailable
from clipper.core.metrics import ModelStats
from clipper.core.tasks import Tasks
from tests.fakes.callers import Asked

pytestmark = pytest.mark.looptime

LIMIT = 4


class Clock:
    """Says what time it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stats() -> ModelStats:
    return ModelStats()


@pytest.fixture
def queue(clock: Clock, stats: ModelStats) -> BatchQueue:
    return BatchQueue(LIMIT, 100, clock, stats)


def put(queue: BatchQueue, *deadlines: float, data: bytes = b"1") -> list[Asked]:
    asked = [Asked(data, deadline) for deadline in deadlines]
    for one in asked:
        queue.put(one.task)
    return asked


def test_an_empty_queue_gives_nothing(queue: BatchQueue) -> None:
    assert queue.pop(10) == []
    assert len(queue) == queue.bytes == 0


def test_the_earliest_deadline_goes_first_whatever_came_first(queue: BatchQueue) -> None:
    late, early, middle = put(queue, 3.0, 1.0, 2.0)
    assert queue.pop(2) == [early.task, middle.task]
    assert queue.pop(2) == [late.task]


def test_equal_deadlines_go_in_the_order_in_which_they_came(queue: BatchQueue) -> None:
    first, second, third = put(queue, 1.0, 1.0, 1.0)
    assert queue.pop(3) == [first.task, second.task, third.task]


def test_a_batch_is_never_larger_than_the_limit(queue: BatchQueue) -> None:
    put(queue, 1.0, 1.0, 1.0)
    assert len(queue.pop(2)) == 2
    assert len(queue) == 1


def test_a_full_queue_refuses_and_keeps_what_it_has(queue: BatchQueue, stats: ModelStats) -> None:
    put(queue, *[1.0] * LIMIT)
    refused = Asked()
    with pytest.raises(QueueFull, match="The queue is full: 4 queries, 4 bytes wait already"):
        queue.put(refused.task)
    assert len(queue) == stats.queue_depth == LIMIT
    assert refused.settled == [], "whoever asked learned it from the exception"
    assert refused.task not in queue.pop(10)


def test_inputs_are_bounded_in_bytes_too(queue: BatchQueue) -> None:
    put(queue, 1.0, data=b"x" * 60)
    with pytest.raises(QueueFull):
        put(queue, 1.0, data=b"x" * 41)
    put(queue, 1.0, data=b"x" * 40)
    assert queue.bytes == 100
    queue.pop(2)
    assert queue.bytes == 0


def test_a_task_that_expired_in_the_queue_is_settled_and_not_given_out(
    queue: BatchQueue, clock: Clock, stats: ModelStats
) -> None:
    expired, alive = put(queue, 1.0, 2.0)
    clock.now = 1.0
    assert queue.pop(10) == [alive.task]
    assert isinstance(expired.caller.outcome, DeadlineExceeded)
    assert expired.settled == [None]
    assert stats.expired == 1


def test_a_queue_in_which_everything_expired_gives_nothing(
    queue: BatchQueue, clock: Clock, stats: ModelStats
) -> None:
    asked = put(queue, 1.0, 2.0, 3.0)
    clock.now = 5.0
    assert queue.pop(10) == []
    assert [len(one.caller.told) for one in asked] == [1, 1, 1]
    assert len(queue) == stats.queue_depth == queue.bytes == 0


def test_expired_tasks_take_no_place_in_a_batch(queue: BatchQueue, clock: Clock) -> None:
    _, _, first, second = put(queue, 1.0, 1.0, 2.0, 2.0)
    clock.now = 1.5
    assert queue.pop(2) == [first.task, second.task]


def test_a_later_deadline_keeps_a_queued_task_alive(queue: BatchQueue, clock: Clock) -> None:
    (asked,) = put(queue, 1.0)
    asked.task.deadline = 2.0
    clock.now = 1.5
    assert queue.pop(1) == [asked.task]


def test_tasks_that_cannot_be_in_time_stand_back_while_there_are_others(
    queue: BatchQueue, clock: Clock
) -> None:
    hopeless, tight, first, second = put(queue, 1.0, 1.5, 1.6, 2.0)
    clock.now = 0.5
    assert queue.pop(1, needed_s=1.0) == [first.task]
    assert queue.pop(10, needed_s=1.0) == [second.task]
    assert queue.pop(10, needed_s=1.0) == [hopeless.task, tight.task], "good for the cache"
    assert len(queue) == queue.bytes == 0


def test_a_task_that_expires_while_it_stands_back_is_settled(
    queue: BatchQueue, clock: Clock, stats: ModelStats
) -> None:
    early, late, gone = put(queue, 1.0, 5.0, 1.2)
    assert queue.pop(10, needed_s=2.0) == [late.task]
    queue.withdraw(gone.task)
    clock.now = 3.0
    assert queue.pop(10) == []
    assert isinstance(early.caller.outcome, DeadlineExceeded)
    assert gone.caller.told == []
    assert (stats.expired, stats.queue_depth, queue.bytes) == (1, 0, 0)


def test_who_joins_with_more_time_brings_a_task_back_into_line(
    queue: BatchQueue, clock: Clock
) -> None:
    joined, other = put(queue, 1.0, 2.0)
    joined.task.deadline = 3.0
    assert queue.pop(1, needed_s=1.5) == [other.task]
    clock.now = 1.2
    assert queue.pop(1, needed_s=1.5) == [joined.task]


def test_those_who_stand_back_are_failed_with_all_others(queue: BatchQueue) -> None:
    asked = put(queue, 1.0, 2.0, 3.0)
    assert queue.pop(1, needed_s=1.5) == [asked[1].task]
    queue.fail_all(ReplicaUnavailable("gone"))
    for one in (asked[0], asked[2]):
        assert isinstance(one.caller.outcome, ReplicaUnavailable)
    assert len(queue) == queue.bytes == 0


def test_a_withdrawn_task_makes_room_at_once(queue: BatchQueue, stats: ModelStats) -> None:
    asked = put(queue, *[1.0] * LIMIT)
    queue.withdraw(asked[1].task)
    assert len(queue) == stats.queue_depth == LIMIT - 1
    (newcomer,) = put(queue, 1.0)
    assert queue.pop(10) == [asked[0].task, asked[2].task, asked[3].task, newcomer.task]
    assert asked[1].caller.told == [], "who withdraws is not told"


def test_a_withdrawn_task_holds_on_to_no_input(queue: BatchQueue) -> None:
    (asked,) = put(queue, 1.0, data=b"x" * 100)
    queue.withdraw(asked.task)
    assert queue.bytes == 0
    assert asked.task.input.data == b""


def test_withdrawn_tasks_do_not_pile_up(clock: Clock, stats: ModelStats) -> None:
    queue = BatchQueue(10_000, 10_000, clock, stats)
    (oldest,) = put(queue, 0.5)
    for _ in range(20):
        asked = put(queue, *[1.0] * 100)
        for one in asked:
            queue.withdraw(one.task)
    assert len(queue) == 1
    assert queue.pop(10) == [oldest.task]


def test_who_leaves_while_others_expire_leaves_the_queue_whole(
    clock: Clock, stats: ModelStats
) -> None:
    queue = BatchQueue(10_000, 10_000, clock, stats)
    (expired,) = put(queue, 1.0)
    leaving = put(queue, *[3.0] * 300)
    staying = put(queue, 2.0, 4.0)

    def leave(outcome: object) -> None:
        for one in leaving:
            queue.withdraw(one.task)

    expired.task.waiters.append(leave)
    clock.now = 1.5
    assert queue.pop(10) == [one.task for one in staying]
    assert queue.pop(10) == []
    queue.put_back([staying[0].task])
    assert queue.pop(10) == [staying[0].task]
    assert queue.pop(10) == []


def test_what_comes_back_is_queued_even_where_the_queue_is_full(queue: BatchQueue) -> None:
    (first,) = put(queue, 1.0)
    assert queue.pop(1) == [first.task]
    put(queue, *[2.0] * LIMIT)
    queue.put_back([first.task])
    assert len(queue) == LIMIT + 1
    assert queue.pop(1) == [first.task]


def test_a_task_that_was_tried_before_goes_alone(queue: BatchQueue) -> None:
    asked = put(queue, 1.0, 2.0, 3.0, 4.0)
    asked[1].task.attempts = 1
    batches = [queue.pop(10) for _ in range(3)]
    assert batches == [[asked[0].task], [asked[1].task], [asked[2].task, asked[3].task]]


def test_a_batch_is_bounded_in_bytes_but_never_empty(clock: Clock, stats: ModelStats) -> None:
    queue = BatchQueue(10, 10 * MAX_BATCH_BYTES, clock, stats)
    huge = b"x" * (MAX_BATCH_BYTES + 1)
    small, first, second = (*put(queue, 1.0), *put(queue, 2.0, 3.0, data=huge))
    assert [queue.pop(10) for _ in range(3)] == [[small.task], [first.task], [second.task]]


def test_when_the_model_is_gone_everybody_is_told_once(
    queue: BatchQueue, stats: ModelStats
) -> None:
    asked = put(queue, 1.0, 2.0, 3.0)
    queue.withdraw(asked[0].task)
    error = ReplicaUnavailable("deleted")
    queue.fail_all(error)
    assert [one.caller.told for one in asked] == [[], [error], [error]]
    assert len(queue) == stats.queue_depth == queue.bytes == 0
    assert queue.pop(10) == []


async def test_take_waits_for_the_first_task(queue: BatchQueue) -> None:
    tasks = Tasks()
    taken = tasks.spawn("take", queue.take(lambda: 8))
    await asyncio.sleep(3600)
    assert not taken.done()
    asked = put(queue, 1.0, 2.0)
    assert await taken == [one.task for one in asked]


async def test_take_goes_on_waiting_where_all_that_came_has_expired(
    queue: BatchQueue, clock: Clock
) -> None:
    tasks = Tasks()
    taken = tasks.spawn("take", queue.take(lambda: 8))
    await asyncio.sleep(1)
    (expired,) = put(queue, 1.0)
    clock.now = 2.0
    await asyncio.sleep(1)
    assert not taken.done()
    assert isinstance(expired.caller.outcome, DeadlineExceeded)
    (alive,) = put(queue, 3.0)
    assert await taken == [alive.task]


async def test_the_replica_that_has_been_idle_longest_is_woken(queue: BatchQueue) -> None:
    tasks = Tasks()
    first = tasks.spawn("first", queue.take(lambda: 8))
    second = tasks.spawn("second", queue.take(lambda: 8))
    await asyncio.sleep(1)
    (one,) = put(queue, 1.0)
    assert await first == [one.task]
    assert not second.done()
    (two,) = put(queue, 1.0)
    assert await second == [two.task]


async def test_what_one_replica_leaves_another_takes(queue: BatchQueue) -> None:
    tasks = Tasks()
    takers = [tasks.spawn(f"{index}", queue.take(lambda: 1)) for index in range(3)]
    await asyncio.sleep(1)
    asked = put(queue, 1.0, 2.0, 3.0)
    assert await asyncio.gather(*takers) == [[one.task] for one in asked]


async def test_a_limit_of_zero_ends_the_wait_with_nothing(queue: BatchQueue) -> None:
    limit = 1
    tasks = Tasks()
    taken = tasks.spawn("take", queue.take(lambda: limit))
    await asyncio.sleep(1)
    limit = 0
    queue.nudge()
    assert await taken == []
    put(queue, 1.0)
    assert await queue.take(lambda: 0) == []
    assert len(queue) == 1


async def test_a_task_put_while_one_replica_stops_goes_to_another(queue: BatchQueue) -> None:
    limits = {"stopping": 8, "staying": 8}
    tasks = Tasks()
    stopping = tasks.spawn("stopping", queue.take(lambda: limits["stopping"]))
    staying = tasks.spawn("staying", queue.take(lambda: limits["staying"]))
    await asyncio.sleep(1)
    (asked,) = put(queue, 1.0)  # wakes the one that is told to stop in the same moment
    limits["stopping"] = 0
    queue.nudge()
    assert await stopping == []
    assert await staying == [asked.task]


async def test_a_replica_that_is_cancelled_as_it_is_woken_wakes_another(
    queue: BatchQueue,
) -> None:
    tasks = Tasks()
    doomed = tasks.spawn("doomed", queue.take(lambda: 8))
    other = tasks.spawn("other", queue.take(lambda: 8))
    await asyncio.sleep(1)
    (asked,) = put(queue, 1.0)
    doomed.cancel()
    assert await other == [asked.task]
    assert doomed.cancelled()


async def test_a_cancelled_wait_takes_nothing_with_it(queue: BatchQueue) -> None:
    tasks = Tasks()
    for _ in range(3):
        tasks.spawn("doomed", queue.take(lambda: 8))
    await asyncio.sleep(1)
    await tasks.cancel()
    (asked,) = put(queue, 1.0)
    assert await queue.take(lambda: 8) == [asked.task]
