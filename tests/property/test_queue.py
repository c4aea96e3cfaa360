"""The queue, whatever happens to it: by deadline, bounded, and everybody told at most once."""

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clipper.abstraction.queue import BatchQueue
from clipper.core.errors import DeadlineExceeded, QueueFull, ReplicaUnavailable, Shed
from clipper.core.metrics import ModelStats
from clipper.core.types import Output
from tests.fakes.callers import Asked

LIMIT, LIMIT_BYTES = 8, 20
DONE = Output(1, b"1")

instants = st.integers(0, 20).map(float)


class QueueMachine(RuleBasedStateMachine):
    """A queue beside plain sets of who is where."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.stats = ModelStats()
        self.queue = BatchQueue(LIMIT, LIMIT_BYTES, lambda: self.now, self.stats)
        self.queued: list[Asked] = []
        self.in_flight: list[Asked] = []
        self.gone: list[Asked] = []
        """Withdrawn: never told."""
        self.told: list[Asked] = []

    @rule(deadline=instants, size=st.integers(0, 8))
    def put(self, deadline: float, size: int) -> None:
        asked = Asked(bytes(size), self.now + deadline)
        is_full = len(self.queued) >= LIMIT or self.bytes + size > LIMIT_BYTES
        try:
            self.queue.put(asked.task, self.now)
        except QueueFull:
            assert is_full
        else:
            assert not is_full
            self.queued.append(asked)

    @property
    def bytes(self) -> int:
        return sum(len(asked.task.input.data) for asked in self.queued)

    @rule(by=st.integers(1, 5))
    def wait(self, by: int) -> None:
        self.now += by

    @precondition(lambda self: self.queued)
    @rule(data=st.data(), deadline=instants)
    def join(self, data: st.DataObject, deadline: float) -> None:
        asked = data.draw(st.sampled_from(self.queued))
        due, latest = asked.task.due, asked.task.deadline
        self.queue.join(asked.task, deadline)
        assert asked.task.due == min(due, deadline)
        assert asked.task.deadline == max(latest, deadline)

    @precondition(lambda self: self.queued)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(self.queued))
        self.queue.withdraw(asked.task)
        self.queued.remove(asked)
        self.gone.append(asked)

    @rule(limit=st.integers(1, 4), fixed_s=instants, per_item_s=st.sampled_from([0.0, 1.0]))
    def shed(self, limit: int, fixed_s: float, per_item_s: float) -> None:
        before = sorted(asked.task.due for asked in self.queued)
        late = self.queue.late(limit, lambda size: fixed_s + per_item_s * size)
        for task in self.queue.drop(late):
            self.queue.settle_dropped(task)
        dropped = [asked for asked in self.queued if asked.caller.told]
        self.queued = [asked for asked in self.queued if not asked.caller.told]
        self.told += dropped
        assert len(dropped) == late
        assert sorted(asked.task.due for asked in dropped) == before[:late]
        for asked in dropped:
            is_expired = asked.task.deadline <= self.now
            assert isinstance(asked.caller.outcome, DeadlineExceeded if is_expired else Shed)
        if self.queued:
            done_at = self.now + fixed_s + per_item_s * min(limit, len(self.queued))
            assert min(asked.task.due for asked in self.queued) >= done_at

    @rule(limit=st.integers(1, 4), skipping=st.integers(0, 2))
    def pop(self, limit: int, skipping: int) -> None:
        ranked = sorted(asked.task.due for asked in self.queued)
        tasks = {id(asked.task): asked for asked in self.queued}
        popped, ended_by = self.queue.pop(limit, skipping)
        batch = [tasks[id(task)] for task in popped]
        assert len({id(asked) for asked in batch}) == len(batch) <= limit
        assert bool(batch) == (len(ranked) > skipping)
        assert [asked.task.due for asked in batch] == ranked[skipping : skipping + len(batch)]
        if ended_by == "queue_empty":
            assert skipping + len(batch) >= len(ranked)
        if len(batch) > 1:
            assert not any(asked.task.attempts for asked in batch)
        self.in_flight += batch
        self.queued = [asked for asked in self.queued if asked not in batch]

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), is_answered=st.booleans())
    def end(self, data: st.DataObject, is_answered: bool) -> None:
        asked = data.draw(st.sampled_from(self.in_flight))
        self.in_flight.remove(asked)
        if is_answered:
            asked.task.settle(DONE)
            self.told.append(asked)
        else:
            assume(asked.task.attempts < 2)
            asked.task.attempts += 1
            self.queue.put_back([asked.task])
            self.queued.append(asked)

    @rule()
    def fail_all(self) -> None:
        self.queue.fail_all(ReplicaUnavailable())
        self.told += self.queued
        self.queued = []

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.queue) == self.stats.queue_depth == len(self.queued)
        assert self.queue.bytes == self.bytes

    @invariant()
    def everybody_is_told_once_or_not_yet(self) -> None:
        assert all(len(asked.caller.told) == len(asked.settled) == 1 for asked in self.told)
        for asked in (*self.queued, *self.in_flight, *self.gone):
            assert asked.caller.told == asked.settled == []


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
