"""Selection states: one for each application and context, in the store, the recent ones in memory.

Reads are from memory; a context that is not there is loaded once. Feedback is written through with
compare-and-set, so that none is lost where several daemons learn at once. Within a daemon, lessons
for one context take turns: all but one would lose the race, read again, and lose again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

import msgspec

from clipper.core.errors import Conflict, StateError
from clipper.selection.policy import SelectionPolicy, State
from clipper.state.store import Store

CAPACITY = 100_000
"""States held in memory."""


class SelectionStates:
    """A cache over the store's cells; never larger than its capacity."""

    def __init__(self, store: Store, capacity: int = CAPACITY) -> None:
        self._store = store
        self._capacity = capacity
        self._recent: OrderedDict[tuple[str, str], State] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

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
        if state is None:
            cell = await self._store.get(_key(app, context))
            state = self.peek(app, context)  # somebody may have learned meanwhile
        if state is None:
            state = policy.init() if cell is None else _decode(cell.value, policy)
            self._remember(app, context, state)
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
                try:
                    expected = 0 if cell is None else cell.version
                    await self._store.swap(key, msgspec.json.encode(after), expected=expected)
                except Conflict:
                    continue
                self._remember(app, context, after)
                return after

    async def forget(self, app: str) -> None:
        """Drop every state of an application.

        Raises:
            StateError: the store cannot be written.
        """
        await self._store.discard(_key(app, ""))
        for key in [key for key in self._recent if key[0] == app]:
            del self._recent[key]

    def _remember(self, app: str, context: str, state: State) -> None:
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
