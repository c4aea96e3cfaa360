"""A model version's queue: pending predictions, earliest deadline first, bounded.

All replicas of the version drain the same queue, so a slow one simply takes less. Withdrawal is
lazy: a task that nobody waits for any more stays in the heap, without its input, until it comes to
the front. Tasks whose deadline has passed are settled there, and never reach a replica.

Under overload the earliest deadlines are those that can no longer be kept: a replica that served
them first would work without pause and answer hardly anybody in time. So tasks with less time left
than a batch takes stand back until there are no others (Clockwork, OSDI '20, cancels such requests;
here their outputs are still good for the cache).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

import msgspec

from clipper.core.errors import ClipperError, DeadlineExceeded, QueueFull
from clipper.core.metrics import ModelStats
from clipper.core.types import Input, Output

Waiter = Callable[["Output | ClipperError"], None]
"""Told once what became of a task: its output, or why there is none."""
Entry = tuple[float, int, "Task"]
"""When to take a task, its number, and the task."""

MAX_BATCH_BYTES = 64 * 1024 * 1024
NOTHING = Input(b"")


class Task(msgspec.Struct, eq=False):
    """One input to be predicted, and everyone who waits for its output.

    Settled exactly once; who withdraws before that is never told.
    """

    input: Input
    deadline: float
    on_settled: Callable[["Task", Output | None], None]
    waiters: list[Waiter]
    attempts: int = 0
    """How often it was sent to a replica that broke off."""
    queued_at: float = 0.0
    sent_at: float = 0.0
    batch_size: int = 0
    """Of the batch in which it was sent."""
    is_queued: bool = False
    is_settled: bool = False

    def settle(self, outcome: Output | ClipperError) -> None:
        """Tell everyone who still waits."""
        waiters = self.waiters
        self.waiters = []
        self.is_settled = True
        self.on_settled(self, outcome if isinstance(outcome, Output) else None)
        for waiter in waiters:
            waiter(outcome)


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
        self._heap: list[Entry] = []
        self._tight: list[Entry] = []
        """A heap like the other, of the tasks that stand back."""
        self._needed_s = 0.0
        self._sequence = 0
        self._size = 0
        self._takers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return self._size

    def put(self, task: Task) -> None:
        """Queue a task and wake the replica that has been idle longest.

        Raises:
            QueueFull: at capacity; the task was not taken.
        """
        if self._size >= self.limit or self.bytes + len(task.input.data) > self.limit_bytes:
            raise QueueFull(
                f"The queue is full: {self._size} queries, {self.bytes} bytes wait already.",
                hint="Retry later, or add replicas.",
            )
        self._push(task)

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Queue tasks again whose replica broke off; they were admitted, so no limit applies."""
        for task in tasks:
            self._push(task)

    def _push(self, task: Task) -> None:
        task.queued_at = self._now()
        task.is_queued = True
        self._sequence += 1
        heappush(self._heap, (task.deadline, self._sequence, task))
        self._size += 1
        self.stats.queue_depth = self._size
        self.bytes += len(task.input.data)
        if self._takers:
            self._wake()

    def _wake(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def withdraw(self, task: Task) -> None:
        """Nobody waits for this task any more; a replica will not see it."""
        self._leave(task)
        task.input = NOTHING
        if self._size * 2 + 64 < len(self._heap) + len(self._tight):
            for heap in (self._heap, self._tight):
                heap[:] = sorted(entry for entry in heap if entry[2].is_queued)

    def _leave(self, task: Task) -> None:
        task.is_queued = False
        self._size -= 1
        self.stats.queue_depth = self._size
        self.bytes -= len(task.input.data)

    def pop(self, limit: int, needed_s: float = 0.0) -> list[Task]:
        """Up to `limit` tasks by deadline; expired ones are settled on the way.

        Tasks with no more than `needed_s` left are only taken where there are no others.
        """
        now = self._now()
        if needed_s < self._needed_s:
            self._come_forward(now + needed_s)
        self._needed_s = needed_s
        self._stand_back(now, now + needed_s)
        return self._collect(self._heap, limit) or self._collect(self._tight, limit)

    def _come_forward(self, before: float) -> None:
        """Batches have become faster: what is due later than that can be met after all."""
        for entry in self._tight:
            if entry[0] > before:
                heappush(self._heap, entry)
        self._tight = [entry for entry in self._tight if entry[0] <= before]
        heapify(self._tight)

    def _stand_back(self, now: float, before: float) -> None:
        """Put aside what is due before then, and settle what is due now."""
        heap, tight = self._heap, self._tight
        while heap and heap[0][0] <= before:
            due, number, task = heappop(heap)
            if task.is_queued and task.deadline > before:  # somebody joined who has more time
                heappush(heap, (task.deadline, number, task))
            elif task.is_queued:
                heappush(tight, (due, number, task))
        while tight and tight[0][0] <= now:
            due, number, task = heappop(tight)
            if task.is_queued and task.deadline > now:
                heappush(heap if task.deadline > before else tight, (task.deadline, number, task))
            elif task.is_queued:
                self._leave(task)
                self.stats.expired += 1
                task.settle(DeadlineExceeded())

    def _collect(self, heap: list[Entry], limit: int) -> list[Task]:
        """A batch from one heap.

        A task that was tried before goes alone: its input may be what ended the replica.
        """
        batch: list[Task] = []
        size_bytes = 0
        while heap and len(batch) < limit:
            task = heap[0][2]
            if not task.is_queued:
                heappop(heap)
                continue
            size_bytes += len(task.input.data)
            if batch and (task.attempts or size_bytes > MAX_BATCH_BYTES):
                break
            heappop(heap)
            self._leave(task)
            batch.append(task)
            if task.attempts:
                break
        return batch

    async def take(
        self, limit: Callable[[], int], needed_s: Callable[[], float] = float
    ) -> list[Task]:
        """The next batch, at least one task, waiting for it; empty once the limit is 0."""
        while True:
            size = limit()
            batch = self.pop(size, needed_s())
            if not size:
                return batch
            if batch:
                if self._size:
                    self._wake()
                return batch
            taker = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                # Woken and cancelled at once: somebody else must take what we were woken for.
                if taker.done() and not taker.cancelled():
                    self._wake()
                raise

    def nudge(self) -> None:
        """Have everyone who waits in `take` look at their limit again."""
        for taker in self._takers:
            if not taker.done():
                taker.set_result(None)
        self._takers.clear()

    def fail_all(self, error: ClipperError) -> None:
        """Settle everything that waits: the model is gone."""
        while self._heap or self._tight:
            task = heappop(self._heap or self._tight)[2]
            if task.is_queued:
                self._leave(task)
                task.settle(error)
