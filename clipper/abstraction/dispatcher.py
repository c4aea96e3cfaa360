"""The dispatcher of one replica: has a batch given, sends it, settles it.

At most one batch is with a replica at a time (Clockwork, OSDI '20, makes the same choice): what
waits, waits in the queue, where it can still be withdrawn, expire, or go to another replica. When
outputs come, the next batch is sent first and only then is everybody told: to tell hundreds takes
milliseconds, in which the replica would have nothing to do.

When the model raises on a batch, the batch is halved until the input that it cannot take is alone;
everyone else gets an answer. When the replica breaks off, its batch goes back to the queue once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Protocol

from clipper.abstraction.member import Member
from clipper.abstraction.queue import Task
from clipper.abstraction.scheduler import Scheduler, Taken
from clipper.abstraction.slices import in_slices
from clipper.core.clock import loop_clock
from clipper.core.errors import ClipperError, DeadlineExceeded, ModelFailed, ReplicaFailed
from clipper.core.types import BatchOutputs, Input, Output, ReplicaId

MAX_ATTEMPTS = 2
OVERDUE = 1.2
"""A batch is overdue after so many times what ninety-nine in a hundred take at most."""


class Replica(Protocol):
    """What the dispatcher needs of a replica."""

    id: ReplicaId

    async def predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        """Predict a batch.

        Raises:
            ModelFailed: the model raised, or its answer does not fit; the replica is usable.
            ReplicaFailed: the replica broke off.
        """


class Dispatcher:
    """Has a replica serve batches until it fails or is told to stop."""

    def __init__(
        self, replica: Replica, scheduler: Scheduler, member: Member, timeout_s: float
    ) -> None:
        self.replica = replica
        self.scheduler = scheduler
        self.member = member
        self.stats = scheduler.queue.stats
        self.timeout_s = timeout_s
        """A batch that takes longer has hung its replica."""
        self.now = loop_clock()
        self._loop = asyncio.get_running_loop()
        self._sent_at: float | None = None
        """When the batch was sent that is with the replica."""
        self._has_hung = False
        self._watchdog: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve batches until told to stop.

        Raises:
            ReplicaFailed: the replica broke off or hangs; its batch is back in the queue.
        """
        index = self.replica.id.index
        self.stats.limits[index] = self.member.limit
        self.scheduler.join(self.member)
        self._watch(asyncio.current_task())
        try:
            while taken := await self.scheduler.take(self.member):
                await self._serve(taken)
        finally:
            self.scheduler.leave(self.member)
            if self._watchdog is not None:
                self._watchdog.cancel()
            # A successor under the same index may have come and gone meanwhile.
            self.stats.limits.pop(index, None)

    def _watch(self, serving: "asyncio.Task[None] | None") -> None:
        """See that no batch takes too long: one timer for all, not one for each."""
        left_s = self.timeout_s
        if self._sent_at is not None:
            left_s += self._sent_at - self.now()
        if left_s > 0:
            self._watchdog = self._loop.call_later(left_s, self._watch, serving)
        elif serving is not None:
            self._has_hung = True
            serving.cancel()

    def stop(self) -> None:
        """Take no further batch; `run` returns when the one in hand is answered."""
        self.member.is_stopping = True
        self.scheduler.nudge()

    async def _serve(self, taken: Taken) -> None:
        """Predict a batch; where the model raises, its halves, until the culprit is alone."""
        hedge = self._overdue(taken)
        parts = [taken.tasks]
        part: list[Task] = []
        try:
            while parts:
                part = parts.pop()
                try:
                    await self._predict(part)
                except ModelFailed as error:
                    self.stats.failed_batches += 1
                    parts += self._halves(part, error)
        except BaseException:
            self.stats.failed_batches += 1
            self._give_back([*part, *chain.from_iterable(parts)])
            raise
        finally:
            self.stats.count_batch(taken.batch.size, taken.batch.ended_by)
            if hedge is not None:
                hedge.cancel()

    def _overdue(self, taken: Taken) -> asyncio.TimerHandle | None:
        """Copies go to another replica when the batch is later than it should be."""
        if not self.scheduler.hedges.share or len(self.scheduler.members) < 2:
            return None
        at = taken.batch.sent_at + OVERDUE * self.member.p99_s(taken.batch.size)
        return self._loop.call_at(at, self.scheduler.hedge, taken.tasks)

    async def _predict(self, part: list[Task]) -> None:
        started = self._sent_at = self.now()
        try:
            answer = await self.replica.predict([task.input for task in part])
        except asyncio.CancelledError:
            self._raise_if_hung(len(part))
            raise
        except ClipperError:
            raise
        except Exception as error:
            raise ReplicaFailed(
                f"{self.replica.id} broke off: {type(error).__name__}: {error}"
            ) from error
        finally:
            self._sent_at = None
        self._answered(part, answer, self.now() - started)

    def _raise_if_hung(self, size: int) -> None:
        """It was the watchdog that cancelled us."""
        serving = asyncio.current_task()
        if self._has_hung and serving is not None:
            serving.uncancel()
            raise ReplicaFailed(
                f"{self.replica.id} did not answer a batch of {size} within {self.timeout_s:g} s."
            ) from None

    def _answered(self, part: list[Task], answer: BatchOutputs, latency_s: float) -> None:
        """Learn, and tell, whichever somebody waits for first.

        Where queries wait, the next batch goes out before anybody is told; where none do, whoever
        is told comes before what we learn.
        """
        if len(self.scheduler.members) > 1:
            self._take_back_copies(part)
        outputs = deque(zip(part, answer.outputs, strict=True))
        told = partial(self._told, len(part), self.now())
        if len(self.scheduler.queue):
            self._learn(len(part), latency_s, answer.model_s)
            self._loop.call_soon(in_slices, self._settle, outputs, told)
        else:
            in_slices(self._settle, outputs, told)
            self._loop.call_soon(self._learn, len(part), latency_s, answer.model_s)

    def _take_back_copies(self, part: list[Task]) -> None:
        """What is answered need not be asked again."""
        for task in part:
            if task.is_queued:
                self.scheduler.queue.withdraw(task)

    def _learn(self, size: int, latency_s: float, model_s: float) -> None:
        stats = self.stats
        stats.batches += 1
        stats.predictions += size
        stats.rpc.observe(latency_s)
        stats.model_time.observe(model_s)
        self.member.observe(size, latency_s)
        if self.replica.id.index in stats.limits:
            stats.limits[self.replica.id.index] = self.member.control.batch_size

    def _told(self, size: int, came: float) -> None:
        """Everybody knows what became of a part whose outputs came then."""
        self.member.told(size, self.now() - came)

    def _halves(self, part: list[Task], error: ModelFailed) -> list[list[Task]]:
        """What is still to be tried of a part on which the model raised; nothing if it was one."""
        if len(part) == 1:
            self._return(part[0], error)
            return []
        wanted = []
        for task in part:
            if self._is_wanted(task):
                wanted.append(task)
            else:
                self._return(task, DeadlineExceeded())
        middle = len(wanted) // 2
        return [half for half in (wanted[middle:], wanted[:middle]) if half]

    def _is_wanted(self, task: Task) -> bool:
        """Whether somebody still waits and can be answered in time."""
        return bool(task.waiters) and task.deadline > self.now()

    def _return(self, task: Task, error: ClipperError) -> None:
        """This replica will not answer it."""
        self._let_go(task)
        task.fail(error)

    def _let_go(self, task: Task) -> None:
        task.sent -= 1
        assert task.batch is not None
        self.stats.queue_wait.observe(task.batch.sent_at - task.queued_at)

    def _settle(self, answered: tuple[Task, Output]) -> None:
        task, output = answered
        self._let_go(task)
        if task.is_settled:
            return
        if not task.waiters:
            self.stats.late += 1
        task.settle(output)

    def _give_back(self, batch: list[Task]) -> None:
        """Queue again what has no answer yet, unless it was tried too often or is too late."""
        again = []
        for task in batch:
            task.attempts += 1
            if task.attempts >= MAX_ATTEMPTS:
                reason = f"{self.replica.id} broke off while it predicted this."
                self._return(task, ReplicaFailed(reason))
            elif not self._is_wanted(task):
                self._return(task, DeadlineExceeded())
            else:
                task.sent -= 1
                if task.is_last_hope:
                    again.append(task)
        self.stats.retried += len(again)
        self.scheduler.put_back(again)
