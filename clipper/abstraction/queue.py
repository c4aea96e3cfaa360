"""A model version's queue: pending predictions, earliest deadline first, bounded.

All replicas of the version drain the same queue. It is a sorted list: queries of one application
come in the order of their deadlines, so that nearly every one goes to the end, and a batch is a
slice off the front.

Under overload the earliest deadlines are those that can no longer be kept: a replica that served
them first would work without pause and answer hardly anybody in time. `late` counts them, for the
scheduler to drop, by prediction (the sliding window of Nexus, SOSP '19, "Adaptive Batching"): as
long as the head would be late in the batch that the replica is about to run, the head goes. It is
judged by the batch that is *wanted*: to shrink the batch until the head fits would make small
batches, these a low throughput, and that older heads still.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from clipper.core.errors import ClipperError, DeadlineExceeded, QueueFull, Shed
from clipper.core.metrics import ModelStats
from clipper.core.types import Input, Output

Waiter = Callable[["Output | ClipperError"], None]
"""Told once what became of a task: its output, or why there is none."""
Entry = tuple[float, int, "Task"]
"""When the task is due, its number, and the task."""
Ending = Literal["limit", "queue_empty", "wait_expired", "bytes", "retry", "probe"]
"""Why a batch has no more queries than it has."""

MAX_BATCH_BYTES = 64 * 1024 * 1024
NOTHING = Input(b"")


class Batch(msgspec.Struct, eq=False, gc=False):
    """What is remembered of a batch with each of its tasks."""

    size: int
    limit: int
    ended_by: Ending
    sent_at: float = 0.0


class Task(msgspec.Struct, eq=False):
    """One input to be predicted, and everyone who waits for its output.

    Settled exactly once; who withdraws before that is never told. It may be in the queue and with
    several replicas at the same time: the first output settles it, a failure only if it is the last
    hope.
    """

    input: Input
    deadline: float
    on_settled: Callable[["Task", Output | None], None]
    waiters: list[Waiter]
    group: object = None
    """Tasks of one request have the same, and go in one batch where they fit; None: it is alone."""
    attempts: int = 0
    """How often it was sent to a replica that broke off."""
    sent: int = 0
    """How many replicas have it."""
    queued_at: float = 0.0
    due: float = 0.0
    """When the first of those who wait for it gives up; the deadline is the last one's."""
    number: int = 0
    """With `due`, its place in the queue."""
    batch: Batch | None = None
    """The last one in which it was sent."""
    is_queued: bool = False
    is_settled: bool = False

    def settle(self, outcome: Output | ClipperError) -> None:
        """Tell everyone who still waits."""
        waiters = self.waiters
        self.waiters = []
        self.is_settled = True
        self.on_settled(self, outcome if type(outcome) is Output else None)
        for waiter in waiters:
            waiter(outcome)

    def fail(self, error: ClipperError) -> None:
        """Settle it with an error, unless there is hope elsewhere."""
        if self.is_last_hope:
            self.settle(error)

    @property
    def is_last_hope(self) -> bool:
        """Whether nothing else will settle it: it waits nowhere, and no replica has it."""
        return not (self.is_settled or self.is_queued or self.sent)


class BatchQueue:
    """Pending tasks of one model version; `len` counts those that somebody still waits for."""

    def __init__(
        self, limit: int, limit_bytes: int, now: Callable[[], float], stats: ModelStats
    ) -> None:
        self.limit = limit
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self.stats = stats
        self._now = now
        self._line: list[Entry] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._line)

    @property
    def head(self) -> Task | None:
        """The task with the earliest deadline."""
        return self._line[0][2] if self._line else None

    def ahead(self, deadline: float) -> int:
        """How many tasks would be served before one with this deadline."""
        line = self._line
        if not line or deadline >= line[-1][0]:
            return len(line)
        return bisect_left(line, (deadline,))

    def put(self, task: Task, now: float) -> None:
        """Queue a task.

        Raises:
            QueueFull: at capacity; the task was not taken.
        """
        if len(self._line) >= self.limit or self.bytes + len(task.input.data) > self.limit_bytes:
            raise QueueFull(
                f"The queue is full: {len(self._line)} queries, {self.bytes} bytes wait already.",
                hint="Retry later, or add replicas.",
            )
        self._push(task, task.deadline, now)

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Queue tasks again that are with a replica; they were admitted, so no limit applies."""
        now = self._now()
        for task in tasks:
            queued_at = task.queued_at
            self._push(task, task.deadline, now)
            if task.sent:  # a copy; the other one may answer first, and tells how long it waited
                task.queued_at = queued_at
            else:  # the batch that it was in has come to nothing
                task.batch = None

    def _push(self, task: Task, due: float, now: float) -> None:
        line = self._line
        task.queued_at = now
        task.is_queued = True
        task.due = due
        self._sequence = task.number = number = self._sequence + 1
        if not line or due >= line[-1][0]:
            line.append((due, number, task))
        else:
            line.insert(bisect_left(line, (due, number)), (due, number, task))
        self.stats.queue_depth = len(line)
        self.bytes += len(task.input.data)

    def withdraw(self, task: Task) -> None:
        """A replica will not see this task any more."""
        del self._line[bisect_left(self._line, (task.due, task.number))]
        self._left([task])

    def join(self, task: Task, deadline: float) -> None:
        """Somebody else waits for a task, until that deadline.

        With less time the task moves up; with more it keeps its place, or one that is asked for
        again and again would never come to the front.
        """
        if deadline > task.deadline:
            task.deadline = deadline
        elif deadline < task.due and task.is_queued:
            self.withdraw(task)
            self._push(task, deadline, task.queued_at)

    def _left(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            task.is_queued = False
            self.bytes -= len(task.input.data)
        self.stats.queue_depth = len(self._line)

    def late(self, limit: int, needed_s: Callable[[int], float]) -> int:
        """How many, from the front, would be late in the next batch.

        `needed_s` says how long a batch of a size takes until its outputs are there.
        """
        line, now = self._line, self._now()
        count, waiting = 0, len(line)
        while count < waiting and line[count][0] < now + needed_s(min(limit, waiting - count)):
            count += 1
        return count

    def drop(self, count: int) -> list[Task]:
        """Take the first so many out, for `settle_dropped` to settle."""
        tasks = [entry[2] for entry in self._line[:count]]
        del self._line[:count]
        self._left(tasks)
        return tasks

    def settle_dropped(self, task: Task) -> None:
        """Tell everyone who waits for it why it was dropped."""
        if not task.is_last_hope:
            return
        if task.deadline <= self._now():
            self.stats.expired += 1
            task.settle(DeadlineExceeded())
        else:
            self.stats.shed += 1
            task.settle(Shed())

    def pop(self, limit: int, skipping: int = 0) -> tuple[list[Task], Ending]:
        """Up to `limit` tasks by deadline, and why there are no more; none where none wait.

        A task that was tried before goes alone: its input may be what ended the replica.
        """
        line = self._line
        stop, ending = self._cut(skipping, limit)
        tasks = [entry[2] for entry in line[skipping:stop]]
        del line[skipping:stop]
        self._left(tasks)
        return tasks, ending

    def _cut(self, start: int, limit: int) -> tuple[int, Ending]:
        """Where the batch ends that begins there, and why."""
        size_bytes, line = 0, self._line
        for index in range(start, min(start + limit, len(line))):
            task = line[index][2]
            if task.attempts:
                return max(index, start + 1), "retry"
            size_bytes += len(task.input.data)
            if size_bytes > MAX_BATCH_BYTES and index > start:
                return index, "bytes"
        if len(line) < start + limit:
            return len(line), "queue_empty"
        return self._before_group(start + limit, start), "limit"

    def _before_group(self, stop: int, start: int) -> int:
        """Where a full batch ends if no request that would fit into one is torn apart."""
        line, limit = self._line, stop - start
        group = line[stop - 1][2].group
        if group is None or stop == len(line) or line[stop][2].group is not group:
            return stop
        first = last = stop
        while first > start and line[first - 1][2].group is group:
            first -= 1
        while last < len(line) and last - first <= limit and line[last][2].group is group:
            last += 1
        return first if first > start and last - first <= limit else stop

    def fail_all(self, error: ClipperError) -> None:
        """Settle everything that waits: the model is gone."""
        tasks = [entry[2] for entry in self._line]
        self._line.clear()
        self._left(tasks)
        for task in tasks:
            task.fail(error)
