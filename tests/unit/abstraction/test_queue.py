"""The queue: earliest deadline first, bounded, whoever would be late dropped, no request torn."""

import pytest

from clipper.abstraction.queue import MAX_BATCH_BYTES, Batch, BatchQueue, Task
from clipper.core.errors import DeadlineExceeded, QueueFull, ReplicaUnavailable, Shed
from clipper.core.metrics import ModelStats
from tests.fakes.callers import Asked

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
        queue.put(one.task, queue._now())
    return asked


def pop(queue: BatchQueue, limit: int) -> list[Task]:
    return queue.pop(limit)[0]


def shed(queue: BatchQueue, limit: int, needed_s: float, per_item_s: float = 0.0) -> int:
    """Drop whoever would be late in a batch that takes so long."""
    dropped = queue.drop(queue.late(limit, lambda size: needed_s + per_item_s * size))
    for task in dropped:
        queue.settle_dropped(task)
    return len(dropped)


def test_an_empty_queue_gives_nothing(queue: BatchQueue) -> None:
    assert queue.pop(10) == ([], "queue_empty")
    assert queue.head is None
    assert len(queue) == queue.bytes == 0


def test_the_earliest_deadline_goes_first_whatever_came_first(queue: BatchQueue) -> None:
    late, early, middle = put(queue, 3.0, 1.0, 2.0)
    assert queue.head is early.task
    assert pop(queue, 2) == [early.task, middle.task]
    assert pop(queue, 2) == [late.task]


def test_equal_deadlines_go_in_the_order_in_which_they_came(queue: BatchQueue) -> None:
    first, second, third = put(queue, 1.0, 1.0, 1.0)
    assert pop(queue, 3) == [first.task, second.task, third.task]


def test_it_knows_how_many_would_be_served_before_a_deadline(queue: BatchQueue) -> None:
    put(queue, 1.0, 2.0, 2.0, 4.0)
    assert [queue.ahead(deadline) for deadline in (0.5, 1.5, 3.0, 5.0)] == [0, 1, 3, 4]


def test_a_batch_is_never_larger_than_the_limit_and_says_what_ended_it(queue: BatchQueue) -> None:
    put(queue, 1.0, 1.0, 1.0)
    tasks, ended_by = queue.pop(2)
    assert (len(tasks), ended_by) == (2, "limit")
    tasks, ended_by = queue.pop(2)
    assert (len(tasks), ended_by) == (1, "queue_empty")


def test_a_slow_replica_takes_from_behind_those_that_are_left_to_others(queue: BatchQueue) -> None:
    asked = put(queue, 1.0, 2.0, 3.0, 4.0)
    assert queue.pop(2, skipping=1) == ([asked[1].task, asked[2].task], "limit")
    assert pop(queue, 4) == [asked[0].task, asked[3].task]


def test_a_full_queue_refuses_and_keeps_what_it_has(queue: BatchQueue, stats: ModelStats) -> None:
    put(queue, *[1.0] * LIMIT)
    refused = Asked()
    with pytest.raises(QueueFull, match="The queue is full: 4 queries, 4 bytes wait already"):
        queue.put(refused.task, queue._now())
    assert len(queue) == stats.queue_depth == LIMIT
    assert refused.settled == [], "whoever asked learned it from the exception"
    assert refused.task not in pop(queue, 10)


def test_inputs_are_bounded_in_bytes_too(queue: BatchQueue) -> None:
    put(queue, 1.0, data=b"x" * 60)
    with pytest.raises(QueueFull):
        put(queue, 1.0, data=b"x" * 41)
    put(queue, 1.0, data=b"x" * 40)
    assert queue.bytes == 100
    queue.pop(2)
    assert queue.bytes == 0


def test_whoever_would_be_late_in_the_next_batch_is_dropped_and_told_why(
    queue: BatchQueue, clock: Clock, stats: ModelStats
) -> None:
    late, first, second = put(queue, 1.0, 1.6, 2.0)
    clock.now = 0.5
    assert shed(queue, 10, needed_s=1.0) == 1
    assert isinstance(late.caller.outcome, Shed)
    assert late.settled == [None]
    assert pop(queue, 10) == [first.task, second.task]
    assert (stats.shed, stats.expired) == (1, 0)


def test_the_head_is_judged_by_the_batch_that_is_wanted(queue: BatchQueue) -> None:
    asked = put(queue, 1.0, 1.1, 1.2, 1.3)
    assert shed(queue, 4, needed_s=0.6, per_item_s=0.2) == 2, "four would take 1.4 s, two one"
    assert pop(queue, 4) == [asked[2].task, asked[3].task]


def test_a_small_limit_spares_those_who_can_still_make_a_small_batch(queue: BatchQueue) -> None:
    put(queue, 1.0, 1.1, 1.2, 1.3)
    assert shed(queue, 1, needed_s=0.6, per_item_s=0.2) == 0


def test_a_task_that_expired_in_the_queue_is_settled_as_such(
    queue: BatchQueue, clock: Clock, stats: ModelStats
) -> None:
    expired, alive = put(queue, 1.0, 2.0)
    clock.now = 1.0 + 1e-9
    assert shed(queue, 10, needed_s=0.0) == 1
    assert isinstance(expired.caller.outcome, DeadlineExceeded)
    assert (stats.expired, stats.shed) == (1, 0)
    assert pop(queue, 10) == [alive.task]


def test_a_queue_in_which_everything_expired_gives_nothing(
    queue: BatchQueue, clock: Clock, stats: ModelStats
) -> None:
    asked = put(queue, 1.0, 2.0, 3.0)
    clock.now = 5.0
    assert shed(queue, 2, needed_s=0.0) == 3
    assert pop(queue, 10) == []
    assert [len(one.caller.told) for one in asked] == [1, 1, 1]
    assert len(queue) == stats.queue_depth == queue.bytes == 0


def test_who_joins_with_more_time_changes_no_place(queue: BatchQueue) -> None:
    joined, other = put(queue, 1.0, 2.0)
    queue.join(joined.task, 3.0)
    assert joined.task.deadline == 3.0
    assert pop(queue, 10) == [joined.task, other.task]


def test_who_joins_with_less_time_moves_a_task_up(queue: BatchQueue, clock: Clock) -> None:
    other, joined = put(queue, 2.0, 3.0)
    clock.now = 0.5
    queue.join(joined.task, 1.0)
    assert pop(queue, 10) == [joined.task, other.task]
    assert joined.task.deadline == 3.0, "the first who asked still waits that long"
    assert joined.task.queued_at == 0.0, "it has waited since it came"


def test_an_input_that_is_asked_for_again_and_again_comes_to_the_front(
    queue: BatchQueue, clock: Clock
) -> None:
    (hot,) = put(queue, 1.0)
    for _ in range(LIMIT - 1):
        clock.now += 0.1
        put(queue, clock.now + 1.0)
        queue.join(hot.task, clock.now + 1.0)
    assert pop(queue, 1) == [hot.task]


def test_what_came_back_from_a_replica_that_broke_has_been_in_no_batch(queue: BatchQueue) -> None:
    (asked,) = put(queue, 1.0)
    pop(queue, 1)
    asked.task.batch = Batch(1, 1, "limit")
    queue.put_back([asked.task])
    assert asked.task.batch is None


def test_a_deadline_that_is_put_off_while_a_replica_has_the_task_changes_no_place(
    queue: BatchQueue,
) -> None:
    (asked,) = put(queue, 1.0)
    pop(queue, 1)
    queue.join(asked.task, 3.0)
    assert asked.task.deadline == 3.0
    assert len(queue) == 0


def test_what_a_replica_has_is_not_settled_by_dropping_its_copy(
    queue: BatchQueue, clock: Clock
) -> None:
    (asked,) = put(queue, 1.0)
    pop(queue, 1)
    asked.task.sent = 1
    queue.put_back([asked.task])
    clock.now = 2.0
    assert shed(queue, 1, needed_s=0.0) == 1
    assert asked.caller.told == []
    queue.put_back([asked.task])
    queue.fail_all(ReplicaUnavailable())
    assert asked.caller.told == []


def test_a_withdrawn_task_makes_room_at_once(queue: BatchQueue, stats: ModelStats) -> None:
    asked = put(queue, *[1.0] * LIMIT)
    queue.withdraw(asked[1].task)
    assert len(queue) == stats.queue_depth == LIMIT - 1
    (newcomer,) = put(queue, 1.0)
    assert pop(queue, 10) == [asked[0].task, asked[2].task, asked[3].task, newcomer.task]
    assert asked[1].caller.told == [], "who withdraws is not told"


def test_any_of_many_can_be_withdrawn(clock: Clock, stats: ModelStats) -> None:
    queue = BatchQueue(10_000, 10_000, clock, stats)
    asked = put(queue, *[1.0 + number % 7 for number in range(100)])
    for one in asked[::2]:
        queue.withdraw(one.task)
    left = sorted(asked[1::2], key=lambda one: (one.task.due, one.task.number))
    assert pop(queue, 100) == [one.task for one in left]
    assert queue.bytes == 0


def test_who_leaves_while_others_are_dropped_leaves_the_queue_whole(
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
    assert shed(queue, 10, needed_s=0.0) == 1
    assert pop(queue, 10) == [one.task for one in staying]
    assert pop(queue, 10) == []
    queue.put_back([staying[0].task])
    assert pop(queue, 10) == [staying[0].task]


def test_what_comes_back_is_queued_even_where_the_queue_is_full(queue: BatchQueue) -> None:
    (first,) = put(queue, 1.0)
    assert pop(queue, 1) == [first.task]
    put(queue, *[2.0] * LIMIT)
    queue.put_back([first.task])
    assert len(queue) == LIMIT + 1
    assert pop(queue, 1) == [first.task]


def test_who_tries_again_waits_anew_but_a_copy_has_waited_since_its_first_day(
    queue: BatchQueue, clock: Clock
) -> None:
    lost, copied = (one.task for one in put(queue, 1.0, 1.0))
    pop(queue, 2)
    copied.sent = 1
    clock.now = 0.5
    queue.put_back([lost, copied])
    assert (lost.queued_at, copied.queued_at) == (0.5, 0.0)


def test_a_task_that_was_tried_before_goes_alone(queue: BatchQueue) -> None:
    asked = put(queue, 1.0, 2.0, 3.0, 4.0)
    asked[1].task.attempts = 1
    batches = [queue.pop(10) for _ in range(3)]
    assert batches == [
        ([asked[0].task], "retry"),
        ([asked[1].task], "retry"),
        ([asked[2].task, asked[3].task], "queue_empty"),
    ]


def test_a_batch_is_bounded_in_bytes_but_never_empty(clock: Clock, stats: ModelStats) -> None:
    queue = BatchQueue(10, 10 * MAX_BATCH_BYTES, clock, stats)
    huge = b"x" * (MAX_BATCH_BYTES + 1)
    small, first, second = (*put(queue, 1.0), *put(queue, 2.0, 3.0, data=huge))
    batches = [queue.pop(10) for _ in range(3)]
    assert batches == [
        ([small.task], "bytes"),
        ([first.task], "bytes"),
        ([second.task], "queue_empty"),
    ]


def grouped(queue: BatchQueue, *sizes: int) -> list[list[Task]]:
    """Requests of so many inputs each."""
    requests = []
    for size in sizes:
        group = object() if size > 1 else None
        asked = [Asked(b"1", 1.0) for _ in range(size)]
        for one in asked:
            one.task.group = group
            queue.put(one.task, queue._now())
        requests.append([one.task for one in asked])
    return requests


@pytest.fixture
def roomy(clock: Clock, stats: ModelStats) -> BatchQueue:
    return BatchQueue(1000, 1000, clock, stats)


def test_a_request_that_fits_into_one_batch_is_not_torn_apart(roomy: BatchQueue) -> None:
    first, second, third = grouped(roomy, 5, 4, 1)
    assert roomy.pop(8) == (first, "limit"), "the second would not fit whole"
    assert roomy.pop(8) == (second + third, "queue_empty")


def test_a_request_larger_than_a_batch_is_cut_where_the_batch_is_full(roomy: BatchQueue) -> None:
    (first, second) = grouped(roomy, 3, 10)
    assert pop(roomy, 8) == first + second[:5]
    assert pop(roomy, 8) == second[5:]


def test_a_request_that_fills_a_batch_alone_goes_alone(roomy: BatchQueue) -> None:
    single, request, rest = grouped(roomy, 1, 8, 1)
    assert [pop(roomy, 8) for _ in range(3)] == [single, request, rest]


def test_single_queries_are_never_held_back(roomy: BatchQueue) -> None:
    grouped(roomy, *[1] * 20)
    assert [len(pop(roomy, 8)) for _ in range(3)] == [8, 8, 4]


def test_when_the_model_is_gone_everybody_is_told_once(
    queue: BatchQueue, stats: ModelStats
) -> None:
    asked = put(queue, 1.0, 2.0, 3.0)
    queue.withdraw(asked[0].task)
    error = ReplicaUnavailable("deleted")
    queue.fail_all(error)
    assert [one.caller.told for one in asked] == [[], [error], [error]]
    assert len(queue) == stats.queue_depth == queue.bytes == 0
    assert pop(queue, 10) == []
