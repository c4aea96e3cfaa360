"""The dispatcher of one replica: takes a batch when the replica is free, sends it, settles it.

At most one batch is with a replica at a time (Clockwork, OSDI '20, makes the same choice): what
waits, waits in the queue, where it can still be withdrawn, expire, or go to another replica.

When the model raises on a batch, the batch is halved until the input that it cannot take is alone;
everyone else gets an answer. When the replica breaks off, its batch goes back to the queue once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Protocol

from clipper.abstraction.batching import BatchControl
from clipper.abstraction.queue import BatchQueue, Task
from clipper.core.clock import loop_clock
from clipper.core.errors import ClipperError, DeadlineExceeded, ModelFailed, ReplicaFailed
from clipper.core.metrics import ModelStats
from clipper.core.types import BatchOutputs, Input, Output, ReplicaId

MAX_ATTEMPTS = 2
RECENT_BATCHES = 16


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
    """Drains a queue to one replica until the replica fails or it is told to stop."""

    def __init__(
        self,
        replica: Replica,
        queue: BatchQueue,
        control: BatchControl,
        stats: ModelStats,
        timeout_s: float,
    ) -> None:
        self.replica = replica
        self.queue = queue
        self.control = control
        self.stats = stats
        self.timeout_s = timeout_s
        """A batch that takes longer has hung its replica."""
        self.now = loop_clock()
        self._is_stopping = False
        self._recent_s: deque[float] = deque((0.0, 0.0), RECENT_BATCHES)

    async def run(self) -> None:
        """Serve batches until told to stop.

        Raises:
            ReplicaFailed: the replica broke off or hangs; its batch is back in the queue.
        """
        self.stats.limits[self.replica.id.index] = self.control.batch_size
        try:
            while batch := await self.queue.take(self._limit, self._pace):
                await self._serve(batch)
        finally:
            # A successor under the same index may have come and gone meanwhile.
            self.stats.limits.pop(self.replica.id.index, None)

    def stop(self) -> None:
        """Take no further batch; `run` returns when the one in hand is answered."""
        self._is_stopping = True
        self.queue.nudge()

    def _limit(self) -> int:
        return 0 if self._is_stopping else self.control.batch_size

    def _pace(self) -> float:
        """How long a batch takes; the longest of late is left out, it may have been a hiccup."""
        return sorted(self._recent_s)[-2]

    async def _serve(self, batch: list[Task]) -> None:
        """Predict a batch; where the model raises, its halves, until the culprit is alone."""
        self._count(batch)
        parts = [batch]
        part: list[Task] = []
        try:
            while parts:
                part = parts.pop()
                try:
                    answer = await self._predict(part)
                except ModelFailed as error:
                    self.stats.failed_batches += 1
                    parts += self._halves(part, error)
                else:
                    self._settle(part, answer.outputs)
        except BaseException:
            self.stats.failed_batches += 1
            self._give_back([*part, *chain.from_iterable(parts)])
            raise

    def _count(self, batch: list[Task]) -> None:
        now, size, wait = self.now(), len(batch), self.stats.queue_wait
        self.stats.batch_size.observe(size)
        for task in batch:
            task.sent_at = now
            task.batch_size = size
            wait.observe(now - task.queued_at)

    async def _predict(self, part: list[Task]) -> BatchOutputs:
        started = self.now()
        try:
            async with asyncio.timeout(self.timeout_s):
                answer = await self.replica.predict([task.input for task in part])
        except TimeoutError:
            raise ReplicaFailed(
                f"{self.replica.id} did not answer a batch of {len(part)} "
                f"within {self.timeout_s:g} s."
            ) from None
        except ClipperError:
            raise
        except Exception as error:
            raise ReplicaFailed(
                f"{self.replica.id} broke off: {type(error).__name__}: {error}"
            ) from error
        latency_s = self.now() - started
        self.control.observe(len(part), latency_s)
        self._recent_s.append(latency_s)
        self.stats.limits[self.replica.id.index] = self.control.batch_size
        self.stats.rpc.observe(latency_s)
        self.stats.model_time.observe(answer.model_s)
        return answer

    def _halves(self, part: list[Task], error: ModelFailed) -> list[list[Task]]:
        """What is still to be tried of a part on which the model raised; nothing if it was one."""
        if len(part) == 1:
            part[0].settle(error)
            return []
        wanted = [task for task in part if self._is_wanted(task)]
        middle = len(wanted) // 2
        return [half for half in (wanted[middle:], wanted[:middle]) if half]

    def _is_wanted(self, task: Task) -> bool:
        """Whether somebody still waits and can be answered in time; settles the task if not."""
        if task.waiters and task.deadline > self.now():
            return True
        task.settle(DeadlineExceeded())
        return False

    def _settle(self, part: list[Task], outputs: Sequence[Output]) -> None:
        self.stats.batches += 1
        self.stats.predictions += len(part)
        for task, output in zip(part, outputs, strict=True):
            if not task.waiters:
                self.stats.late += 1
            task.settle(output)

    def _give_back(self, batch: list[Task]) -> None:
        """Queue again what has no answer yet, unless it was tried too often or is too late."""
        again = []
        for task in batch:
            if task.is_settled:
                continue
            task.attempts += 1
            if task.attempts >= MAX_ATTEMPTS:
                task.settle(ReplicaFailed(f"{self.replica.id} broke off while it predicted this."))
            elif self._is_wanted(task):
                again.append(task)
        self.stats.retried += len(again)
        self.queue.put_back(again)
