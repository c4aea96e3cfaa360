"""Selection states: one for each application and context, in the store, the recent ones in memory.

Reads are from memory; a context that is not there is loaded once. Feedback is written through with
compare-and-set, so that none is lost where several daemons learn at once. Within a daemon, lessons
for one context take turns: all but one would lose the race, read again, and lose again.

With each state are kept the ids of the queries that it has learned from last, so that a lesson that
is told again, after a crash or to another daemon, is none.

An application is named here by its key (`Application.key`), which changes with its policy, or when
another takes its name: a process that has not heard of that yet teaches the old states, not these.

Whoever learns that another process has taught a context drops it here; what was read before that is
not kept either. Of other daemons the store tells (`refresh`).
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from weakref import WeakValueDictionary

import msgspec

from clipper.core.errors import Conflict, StateError
from clipper.core.types import app_name
from clipper.selection.policy import SelectionPolicy, State
from clipper.serving.blame import blaming
from clipper.state.store import NOW, Store

CAPACITY_BYTES = 64 * 1024 * 1024
HELD_BYTES, HELD_FACTOR = 800, 4
"""What a state takes in memory: so much, and so many times its JSON."""
REMEMBERED = 128
"""Queries by which a context is known to have been taught already."""
PREFIX = "selection/"


class Kept(msgspec.Struct):
    """A state as it is stored."""

    state: msgspec.Raw
    taught_by: list[int] = []
    """Ids of the queries that taught it last, the latest last."""


class Held(NamedTuple):
    """A state in memory."""

    state: State
    version: int
    """Of its cell; 0 where there is none."""
    size: int


class Work:
    """A read or a lesson under way."""

    is_outdated = False
    """Whether its context was dropped meanwhile."""


class SelectionStates:
    """A cache over the store's cells; never larger than its capacity."""

    def __init__(self, store: Store, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._store = store
        self._capacity_bytes = capacity_bytes
        self._recent: OrderedDict[tuple[str, str], Held] = OrderedDict()
        self._bytes = 0
        self._position = NOW
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._works: defaultdict[tuple[str, str], set[Work]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._recent)

    @property
    def bytes(self) -> int:
        """About what the states in memory take."""
        return self._bytes

    def peek(self, app: str, context: str) -> State | None:
        """The state if it is in memory."""
        held = self._recent.get((app, context))
        if held is None:
            return None
        self._recent.move_to_end((app, context))
        return held.state

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
            if cell is None:
                state = policy.init()
                self._remember(app, context, Held(state, 0, HELD_BYTES), work)
            else:
                state, _ = _decode(cell.value, policy)
                self._remember(app, context, _held(state, cell.version, cell.value), work)
        return state

    async def update(
        self,
        app: str,
        context: str,
        policy: SelectionPolicy,
        learn: Callable[[State], State],
        query_id: int | None = None,
    ) -> bool:
        """Change a state; when this returns, the change is durable.

        False if the query of this id has taught this context before.

        Raises:
            StateError: the store cannot be written; nothing was learned.
            PolicyFailed: what was learned is no state of the policy; nothing was.
        """
        key = _key(app, context)
        async with self._turns.setdefault(key, asyncio.Lock()):
            while True:
                cell = await self._store.get(key)
                before, taught_by = (
                    (policy.init(), []) if cell is None else _decode(cell.value, policy)
                )
                if query_id in taught_by:
                    return False
                after = learn(before)
                if query_id is not None:
                    taught_by = [*taught_by[1 - REMEMBERED :], query_id]
                value = _encode(after, taught_by, policy)
                try:
                    with self._work(app, context) as work:
                        expected = 0 if cell is None else cell.version
                        version = await self._store.swap(key, value, expected=expected)
                except Conflict:
                    continue
                self._remember(app, context, _held(after, version, value), work)
                return True

    async def refresh(self) -> Sequence[str]:
        """Drop what others have taught since the last time; the other cells that have changed.

        Raises:
            StateError: the store cannot be read.
        """
        is_first = self._position == NOW
        self._position, versions = await self._store.changes(self._position)
        if is_first or versions is None:
            for app, context in list(self._recent):
                self.drop(app, context)
            return ()
        others = []
        for key, version in versions.items():
            if not key.startswith(PREFIX):
                others.append(key)
                continue
            app, _, context = key.removeprefix(PREFIX).partition("/")
            held = self._recent.get((app, context))
            if held is None or held.version < version:
                self.drop(app, context)
        return others

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
        held = self._recent.pop((app, context), None)
        if held is not None:
            self._bytes -= held.size
        for work in self._works.get((app, context), ()):
            work.is_outdated = True

    async def forget(self, app: str) -> None:
        """Drop every state of an application.

        Raises:
            StateError: the store cannot be written.
        """
        await self._store.discard(_key(app, ""))
        for key in [key for key in (*self._recent, *self._works) if key[0] == app]:
            self.drop(*key)

    def drop_all(self, name: str) -> None:
        """Keep in memory nothing of any application that has had this name."""
        for key in [key for key in (*self._recent, *self._works) if app_name(key[0]) == name]:
            self.drop(*key)

    def _remember(self, app: str, context: str, held: Held, work: Work) -> None:
        if work.is_outdated:
            return
        old = self._recent.pop((app, context), None)
        self._recent[(app, context)] = held
        self._bytes += held.size - (0 if old is None else old.size)
        while self._bytes > self._capacity_bytes and len(self._recent) > 1:
            self._bytes -= self._recent.popitem(last=False)[1].size


def _key(app: str, context: str) -> str:
    return f"{PREFIX}{app}/{context}"


def _held(state: State, version: int, value: bytes) -> Held:
    return Held(state, version, HELD_BYTES + HELD_FACTOR * len(value))


def _encode(state: State, taught_by: list[int], policy: SelectionPolicy) -> bytes:
    with blaming(policy):
        text = msgspec.json.encode(state)
        msgspec.json.decode(text, type=policy.state_type)  # NaN is written, and cannot be read
    return msgspec.json.encode(Kept(msgspec.Raw(text), taught_by))


def _decode(value: bytes, policy: SelectionPolicy) -> tuple[State, list[int]]:
    try:
        kept = msgspec.json.decode(value, type=Kept)
        state = msgspec.json.decode(kept.state, type=policy.state_type)
    except msgspec.MsgspecError as error:
        raise StateError(
            f"The selection state of a context cannot be read by {policy.name}: {error}"
        ) from error
    return state, kept.taught_by
