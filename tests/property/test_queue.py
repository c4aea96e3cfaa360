"""The queue, whatever happens to it: by deadline, bounded, and everybody told at most once."""

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clipper.abstraction.queue import BatchQueue
from clipper.core.errors import DeadlineExceeded, QueueFull, ReplicaUnavailable
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
        self.joined: set[int] = set()
        """Those, by identity, whose deadline was put off while they were queued."""

    @rule(deadline=instants, size=st.integers(0, 8))
    def put(self, deadline: float, size: int) -> None:
        asked = Asked(bytes(size), self.now + deadline)
        is_full = len(self.queued) >= LIMIT or self.bytes + size > LIMIT_BYTES
        try:
            self.queue.put(asked.task)
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
    @rule(data=st.data(), by=instants)
    def join(self, data: st.DataObject, by: float) -> None:
        asked = data.draw(st.sampled_from(self.queued))
        asked.task.deadline += by
        self.joined.add(id(asked))

    @precondition(lambda self: self.queued)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(self.queued))
        self.queue.withdraw(asked.task)
        self.queued.remove(asked)
        self.gone.append(asked)

    @rule(limit=st.integers(1, 4), needed_s=st.sampled_from([0.0, 0.0, 3.0]))
    def pop(self, limit: int, needed_s: float) -> None:
        expired = [asked for asked in self.queued if asked.task.deadline <= self.now]
        tasks = {id(asked.task): asked for asked in self.queued}
        batch = [tasks[id(task)] for task in self.queue.pop(limit, needed_s)]
        assert len(batch) <= limit
        assert len({id(asked) for asked in batch}) == len(batch)
        assert not set(map(id, batch)) & set(map(id, expired))
        for asked in expired:
            assert isinstance(asked.caller.outcome, DeadlineExceeded)
        waiting = [asked for asked in self.queued if asked not in expired]
        assert bool(batch) == bool(waiting)
        if not self.joined.intersection(map(id, waiting)):
            self._check_order(batch, waiting, needed_s)
        if len(batch) > 1:
            assert not any(asked.task.attempts for asked in batch)
        self.told += expired
        self.in_flight += batch
        self.queued = [asked for asked in waiting if asked not in batch]

    def _check_order(self, batch: list[Asked], waiting: list[Asked], needed_s: float) -> None:
        """The earliest deadlines that can be met; where none can be, the earliest."""
        can_be_met = [asked for asked in waiting if asked.task.deadline > self.now + needed_s]
        candidates = sorted(asked.task.deadline for asked in can_be_met or waiting)
        taken = [asked.task.deadline for asked in batch]
        assert taken == candidates[: len(taken)]

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
            self.joined.discard(id(asked))

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
