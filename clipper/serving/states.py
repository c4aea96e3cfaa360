"""Selection states: one for each application and context, in the store, the recent ones in memory.

Reads are from memory; a context that is not there is loaded once. Feedback is written through with
compare-and-set, so that none is lost where several daemons learn at once. Within a daemon, lessons
for one context take turns: all but one would lose the race, read again, and lose again.

Whoever learns that another process has taught a context drops it here; what was read before that is
not kept either.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

import msgspec

from clipper.core.errors import Conflict, StateError
from clipper.selection.policy import SelectionPolicy, State
from clipper.state.store import Store

CAPACITY = 100_000
"""States held in memory."""


class Work:
    """A read or a lesson under way."""

    is_outdated = False
    """Whether its context was dropped meanwhile."""


class SelectionStates:
    """A cache over the store's cells; never larger than its capacity."""

    def __init__(self, store: Store, capacity: int = CAPACITY) -> None:
        self._store = store
        self._capacity = capacity
        self._recent: OrderedDict[tuple[str, str], State] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._works: defaultdict[tuple[str, str], set[Work]] = defaultdict(set)

    def peek(self, app: str, context: str) -> State | None:
        """The state if it is in memory."""
        state = self._recent.get((app, context))
        if state is not None:
            self._recent.move_to_end((app, context))
        return state

    async def load(self, app: str, context: str, policy: SelectionPolicy) -> State:
        """The state, from the store if it must be; a fresh one for a context never seen.

        Raises:
            StateError: the store cannot be read.
        """
        state = self.peek(app, context)
        if state is not None:
            return state
        with self._work(app, context) as work:
            cell = await self._store.get(_key(app, context))
        state = self.peek(app, context)  # somebody may have learned meanwhile
        if state is None:
            state = policy.init() if cell is None else _decode(cell.value, policy)
            self._remember(app, context, state, work)
        return state

    async def update(
        self,
        app: str,
        context: str,
        policy: SelectionPolicy,
        learn: Callable[[State], State],
    ) -> State:
        """Change a state; when this returns, the change is durable.

        Raises:
            StateError: the store cannot be written; nothing was learned.
        """
        key = _key(app, context)
        async with self._turns.setdefault(key, asyncio.Lock()):
            while True:
                cell = await self._store.get(key)
                before = policy.init() if cell is None else _decode(cell.value, policy)
                after = learn(before)
                expected = 0 if cell is None else cell.version
                try:
                    with self._work(app, context) as work:
                        await self._store.swap(key, msgspec.json.encode(after), expected=expected)
                except Conflict:
                    continue
                self._remember(app, context, after, work)
                return after

    @contextmanager
    def _work(self, app: str, context: str) -> Iterator[Work]:
        """Note what is under way, so that a drop can reach it."""
        work, key = Work(), (app, context)
        self._works[key].add(work)
        try:
            yield work
        finally:
            self._works[key].discard(work)
            if not self._works[key]:
                del self._works[key]

    def drop(self, app: str, context: str) -> None:
        """Another process taught this context: it is read anew when it is needed."""
        self._recent.pop((app, context), None)
        for work in self._works.get((app, context), ()):
            work.is_outdated = True

    async def forget(self, app: str) -> None:
        """Drop every state of an application.

        Raises:
            StateError: the store cannot be written.
        """
        await self._store.discard(_key(app, ""))
        self.drop_all(app)

    def drop_all(self, app: str) -> None:
        """Keep nothing of an application in memory."""
        for key in [key for key in (*self._recent, *self._works) if key[0] == app]:
            self.drop(*key)

    def _remember(self, app: str, context: str, state: State, work: Work) -> None:
        if work.is_outdated:
            return
        self._recent[(app, context)] = state
        self._recent.move_to_end((app, context))
        while len(self._recent) > self._capacity:
            self._recent.popitem(last=False)


def _key(app: str, context: str) -> str:
    return f"selection/{app}/{context}"


def _decode(value: bytes, policy: SelectionPolicy) -> State:
    try:
        return msgspec.json.decode(value, type=policy.state_type)
    except msgspec.MsgspecError as error:
        raise StateError(
            f"The selection state of a context cannot be read by {policy.name}: {error}"
        ) from error
