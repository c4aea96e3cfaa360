"""The scheduler of a model version: which replica takes which batch, and when.

Replicas take work from one queue when they are free. Four rules decide who takes what:

* **Least predicted work.** Of those who are idle, the fastest is woken. One that is clearly slower
  than the fastest leaves to the others what they, though busy, would be done with sooner; and it
  drops nobody: what it cannot make in time, another may.
* **Predictive drop.** Before a batch is formed, whoever would be late in it is dropped (see
  `queue`), by the latency that nine batches in ten keep to: to be surer costs more than it saves,
  for the window of those who can still make it becomes smaller with every batch (simulated: the
  99th percentile answers a tenth less under overload). Whoever has no chance is refused on arrival
  already (see `forecast`).
* **Delayed batching** (Clipper, NSDI '17, "Delayed Batching"), where the model asks for it: a batch
  that is not full waits for more, and never so long that its first query would be late. The paper
  counts from when that query came; we count from when it could have been sent, if that is later:
  callers who have just been answered ask again in a moment, and would else form a second group that
  takes turns with the first for ever. When as many have come as are known to ask, it goes.
* **Probing.** A replica that is too slow to be given work could never show that it has recovered.
  Now and then it gets a copy of a query that waits; whoever answers first, answers.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from clipper.abstraction.forecast import Forecast
from clipper.abstraction.hedging import Hedges
from clipper.abstraction.member import Member
from clipper.abstraction.queue import Batch, BatchQueue, Task
from clipper.abstraction.slices import in_slices
from clipper.core.clock import loop_clock
from clipper.core.errors import Shed

SLOW = 1.25
"""A replica is slow whose batches take so many times as long as the fastest one's."""
SOONER = 0.9
"""Somebody else is done sooner who needs at most this share of the time."""
PROBE_S = 1.0
"""How long a slow replica goes without work before it is probed."""
DOUBTFUL_PROBE_S = 0.1
"""The same, where the last probe says that it is not what it was: one probe is no proof."""
RANKING_S = 0.1
"""How long the fastest replica is taken for the fastest."""
GLANCE = 0.25
"""A slow replica that left everything to others looks again after this share of its own time."""
TIMER_S = 0.0005
"""A timer may fire so much early."""
SAFETY_S = 0.002
"""What is kept in hand of a query's time, as timers may be late too."""
NEVER = float("inf")


class Taken(NamedTuple):
    """A batch that was given to a replica."""

    tasks: list[Task]
    batch: Batch


class Rest(NamedTuple):
    """Nothing to do until an instant, or until woken where one can be."""

    until: float = NEVER
    can_be_woken: bool = True


UNTIL_WOKEN = Rest()


class Idle(NamedTuple):
    """A replica that can be woken; ordered by who would be done first."""

    pace_s: float
    number: int
    woken: "asyncio.Future[bool]"
    """True: by work that came; it is out of the heap then."""


class Scheduler:
    """Gives a queue's tasks to the replicas that have joined."""

    def __init__(self, queue: BatchQueue) -> None:
        self.queue = queue
        self.wait_s = 0.0
        """How long a batch that is not full may wait for more."""
        self.members: list[Member] = []
        self._loop = asyncio.get_running_loop()
        self._now = loop_clock()
        self._idle: list[Idle] = []
        self._number = 0
        self._enough = 1
        """So many tasks have to wait before somebody is woken: a full batch, only while one who is
        idle waits for it and has a timer that ends the wait."""
        self._fastest: Member | None = None
        self._ranked_at = 0.0
        self._last: tuple[Member, int, bool] | None = None
        """Who took the last batch, how large it was, and whether others had no place in it."""
        self._forecast: Forecast | None = None
        """Made of that when somebody wants to know."""
        self.hedges = Hedges()

    def join(self, member: Member) -> None:
        """A replica takes batches from now on."""
        member.worked_at = self._now()
        self.members.append(member)
        self._fastest = None

    def leave(self, member: Member) -> None:
        """It takes none any more."""
        self.members.remove(member)
        self._fastest = None

    # Work comes in

    def submit(self, task: Task) -> None:
        """Queue a task.

        Raises:
            QueueFull: there is no room.
            Shed: it would be answered too late.
        """
        queue = self.queue
        if self._idle:
            queue.put(task, self._now())
            # Whoever waits for a full batch waits for the first of it, which may be another now.
            if len(queue) >= self._enough or queue.head is task:
                self._wake()
            return
        now = self._now()
        if self._last is not None and self._is_hopeless(self._last, task.deadline, now):
            queue.stats.shed += 1
            raise Shed()
        queue.put(task, now)

    def is_hopeless(self, deadline: float) -> bool:
        """Whether a query with this deadline, were it submitted now, would be late."""
        if self._idle or self._last is None:
            return False
        return self._is_hopeless(self._last, deadline, self._now())

    def _is_hopeless(self, last: tuple[Member, int, bool], deadline: float, now: float) -> bool:
        member, size, is_crowded = last
        free_at = member.busy_until
        # No batch is expected to take longer than the objective: mostly that is all to be known.
        latest_at = (free_at if free_at > now else now) + member.control.objective_s
        if deadline > latest_at and len(self.queue) < size:
            return False
        if self._forecast is None:
            self._forecast = Forecast(self.members, member, size, is_crowded=is_crowded)
        return self._forecast.is_hopeless(deadline, self.queue, now)

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Queue tasks again that are, or were, with a replica."""
        self.queue.put_back(tasks)
        self._wake()

    def hedge(self, tasks: Sequence[Task]) -> None:
        """A replica is overdue with these: another gets copies, as far as the budget goes."""
        chosen = self.hedges.spend(
            [task for task in tasks if task.waiters and task.sent == 1 and not task.is_queued]
        )
        self.queue.stats.hedged += len(chosen)
        self.put_back(chosen)

    def nudge(self) -> None:
        """Have everyone who rests look again."""
        for member in self.members:
            if member.resting is not None:
                _look_again(member.resting)

    def _wake(self) -> None:
        """The fastest of those who can be woken has something to look at."""
        self._enough = 1
        while self._idle:
            woken = heappop(self._idle).woken
            if not woken.done():
                woken.set_result(True)
                return

    # Who is to work

    def pace_s(self, member: Member) -> float:
        """Of those who are idle, the one with the least is woken first."""
        return member.mean_s(1)

    def is_slow(self, member: Member, size: int, now: float) -> bool:
        """Whether it is to leave to others what they would have done sooner."""
        if self._fastest is None or now - self._ranked_at > RANKING_S:
            self._fastest = min(self.members, key=lambda one: one.mean_s(size))
            self._ranked_at = now
        return member.mean_s(size) > SLOW * self._fastest.mean_s(size)

    # Work goes out

    async def take(self, member: Member) -> Taken | None:
        """The next batch for a replica, waiting for it; None once it is to stop."""
        member.is_busy = False
        if self.wait_s:
            member.free(self._now(), len(self.queue))
        while limit := member.limit:
            found = self._next(member, limit)
            if isinstance(found, Taken):
                if len(self.queue):
                    self._wake()
                return found
            await self._rest(member, found)
        return None

    async def _rest(self, member: Member, rest: Rest) -> None:
        woken: asyncio.Future[bool] = self._loop.create_future()
        self._number += 1
        idle = Idle(self.pace_s(member), self._number, woken)
        if rest.can_be_woken:
            heappush(self._idle, idle)
        timer = None
        if rest.until < NEVER:
            timer = self._loop.call_at(rest.until, _look_again, woken)
        member.resting = woken
        by_work = False
        try:
            by_work = await woken
        except asyncio.CancelledError:
            # Somebody else must take what we were, or would have been, woken for.
            if len(self.queue):
                self._wake()
            raise
        finally:
            member.resting = None
            if timer is not None:
                timer.cancel()
            if not by_work and idle in self._idle:
                self._idle.remove(idle)
                heapify(self._idle)

    def _next(self, member: Member, limit: int) -> Taken | Rest:
        """A batch for this replica, or how long to rest."""
        self._enough = 1
        waiting = len(self.queue)
        if not waiting:
            return UNTIL_WOKEN
        now, size = self._now(), min(waiting, limit)
        if self.wait_s and waiting < (enough := self._expected(member, limit)):
            until = self._patience(member, waiting)
            if until > now + TIMER_S:
                self._enough = enough
                return Rest(until)
        if len(self.members) > 1 and self.is_slow(member, size, now):
            return self._leftovers(member, limit, now)
        dropped = self.queue.late(limit, member.needed_s)
        if dropped == waiting and now - member.worked_at > PROBE_S:
            dropped -= 1  # or nothing would ever show that it has become faster
        if dropped:
            tasks = deque(self.queue.drop(dropped))
            # A batch is sent first: to tell so many takes its time.
            self._loop.call_soon(in_slices, self._settle_dropped, tasks)
        return self._form(member, limit, now, is_crowded=dropped > 0)

    def _settle_dropped(self, task: Task) -> None:
        if task.deadline > task.due and task.is_last_hope:
            self.put_back([task])  # somebody with more time has joined meanwhile
        else:
            self.queue.settle_dropped(task)

    def _expected(self, member: Member, limit: int) -> int:
        """What a batch may wait for at most: a full one, or all that are known to ask.

        These are those whom the replica has just answered, and those who waited when it was free.
        """
        if self._now() - member.free_since > self.wait_s or not member.answered:
            return limit
        return min(limit, member.answered + member.found)

    def _patience(self, member: Member, waiting: int) -> float:
        """Until when a batch may wait for more."""
        head = self.queue.head
        assert head is not None
        ready_at = max(head.queued_at, member.free_since)
        size = waiting + 1
        needed_s = max(member.p99_s(size), member.needed_s(size)) + SAFETY_S
        return min(ready_at + self.wait_s, head.due - needed_s)

    def _leftovers(self, member: Member, limit: int, now: float) -> Taken | Rest:
        """What a slow replica takes: what nobody else would be done with sooner."""
        probe_s = DOUBTFUL_PROBE_S if member.estimate.is_doubted else PROBE_S
        if now - member.worked_at > probe_s:
            head = self.queue.head
            assert head is not None
            return self._send(member, [head], Batch(1, limit, "probe"), now)
        waiting = len(self.queue)
        skipping = max(
            self._sooner_elsewhere(member, min(waiting, limit), now),
            self.queue.late(limit, member.needed_s),
        )
        if skipping >= waiting:
            return Rest(now + GLANCE * member.mean_s(1), can_be_woken=False)
        return self._form(member, limit, now, skipping)

    def _sooner_elsewhere(self, member: Member, size: int, now: float) -> int:
        """How many queries others would have done before this replica had a batch done."""
        soon_s = SOONER * member.mean_s(size)
        others = [one for one in self.members if one is not member]
        return sum(other.done_within(soon_s, len(self.queue), now) for other in others)

    def _form(
        self, member: Member, limit: int, now: float, skipping: int = 0, *, is_crowded: bool = False
    ) -> Taken | Rest:
        """A batch from the queue's front, or from behind those that are left to others."""
        tasks, ending = self.queue.pop(limit, skipping)
        if not tasks:
            return UNTIL_WOKEN
        if ending == "queue_empty" and self.wait_s and len(tasks) < self._expected(member, limit):
            ending = "wait_expired"
        taken = self._send(member, tasks, Batch(len(tasks), limit, ending), now)
        if self.hedges.share:
            self.hedges.earn(len(tasks))
        if not skipping:
            self._last, self._forecast = (member, len(tasks), is_crowded), None
        return taken

    def _send(self, member: Member, tasks: list[Task], batch: Batch, now: float) -> Taken:
        member.started(batch.size, now)
        batch.sent_at = now
        for task in tasks:
            task.batch = batch
            task.sent += 1
        return Taken(tasks, batch)


def _look_again(woken: "asyncio.Future[bool]") -> None:
    if not woken.done():
        woken.set_result(False)
