"""Feedback about a query that another daemon on the same store has answered.

Who answered it remembers what was said, and nobody else. So the feedback is put up in the store, in
one of a few cells; every daemon looks there for what has changed (`SelectionStates.refresh`), and
the one that knows the query learns from it, and puts up what came of that.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Any

import msgspec

from clipper.core.clock import utc_now
from clipper.core.errors import (
    ClipperError,
    Conflict,
    StateError,
    UnknownApplication,
    UnknownQuery,
    error_of,
)
from clipper.state.store import Store

PREFIX = "errand/"
CELLS = 64
TRIES = 4
"""So many cells are looked at for a free one."""
AT_ONCE = 16
"""More than that from one process, and the query is unknown: they may all be made up."""
PATIENCE_S = 0.5
LOOK_S = 0.015
ABANDONED_S = 10.0
"""Whoever put up what is so old does not wait for it any more."""

Teach = Callable[[str, int, Any, str | None], Awaitable[bool]]
"""(app, query id, label, context): as `Feedback.by_query`."""


class Outcome(msgspec.Struct):
    """Whether something was learned, or why not."""

    learned: bool = False
    code: str = ""
    message: str = ""
    hint: str = ""


class Errand(msgspec.Struct):
    """What is in a cell that is taken."""

    app: str
    query_id: int
    label: Any
    context: str | None
    sent_at: float
    """Seconds since 1970."""
    outcome: Outcome | None = None


FREE = b""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Errand).decode


class Errands:
    """Sent to other daemons, and run for them."""

    def __init__(self, store: Store, teach: Teach, random: Random) -> None:
        """`teach` knows the queries of this process only."""
        self._store = store
        self._teach = teach
        self._random = random
        self._is_shared = not store.url.startswith("memory:")
        """Whether there may be other daemons on it."""
        self._out = 0

    async def send(self, app: str, query_id: int, label: Any, context: str | None) -> bool:
        """Have whoever knows the query learn from it.

        Raises:
            UnknownQuery: nobody says that it does.
            ClipperError: as `Feedback.by_query`, there.
            StateError: the store cannot be used.
        """
        if not self._is_shared or self._out >= AT_ONCE:
            raise unknown_query(app, query_id)
        self._out += 1
        try:
            errand = Errand(app, query_id, label, context, utc_now())
            outcome = await self._sent(errand)
        finally:
            self._out -= 1
        if outcome is None:
            raise unknown_query(app, query_id)
        if outcome.code:
            raise error_of(outcome.code, outcome.message, outcome.hint)
        return outcome.learned

    async def _sent(self, errand: Errand) -> Outcome | None:
        for cell in self._random.sample(range(CELLS), TRIES):
            key = f"{PREFIX}{cell}"
            try:
                version = await self._take(key, errand)
            except Conflict:
                continue
            try:
                return await self._answer(key, version)
            finally:
                with contextlib.suppress(StateError):  # who comes next finds it abandoned
                    await self._leave(key)
        return None

    async def _take(self, key: str, errand: Errand) -> int:
        found = await self._store.get(key)
        other = None if found is None else _read(found.value)
        if other is not None and utc_now() - other.sent_at < ABANDONED_S:
            raise Conflict()
        expected = 0 if found is None else found.version
        return await self._store.swap(key, _encode(errand), expected=expected)

    async def _answer(self, key: str, version: int) -> Outcome | None:
        for _ in range(int(PATIENCE_S / LOOK_S)):
            await asyncio.sleep(LOOK_S)
            found = await self._store.get(key)
            if found is None or found.version > version + 1:
                return None
            if found.version == version + 1:
                answer = _read(found.value)
                return None if answer is None else answer.outcome
        return None

    async def _leave(self, key: str) -> None:
        found = await self._store.get(key)
        if found is not None:
            await self._store.swap(key, FREE, expected=found.version)

    async def run(self, keys: Iterable[str]) -> None:
        """Learn what others have put up in these cells, where it is about queries known here.

        Raises:
            StateError: the store cannot be used.
        """
        for key in keys:
            if not key.startswith(PREFIX):
                continue
            found = await self._store.get(key)
            errand = None if found is None else _read(found.value)
            if found is None or errand is None or errand.outcome is not None:
                continue
            errand.outcome = await self._learned(errand)
            if errand.outcome is not None:
                with contextlib.suppress(Conflict):  # nobody waits any more
                    await self._store.swap(key, _encode(errand), expected=found.version)

    async def _learned(self, errand: Errand) -> Outcome | None:
        """None where it is another daemon's."""
        try:
            taught = self._teach(errand.app, errand.query_id, errand.label, errand.context)
            return Outcome(await taught)
        except (UnknownQuery, UnknownApplication):
            return None
        except ClipperError as error:
            return Outcome(code=error.code, message=error.message, hint=error.hint)


def _read(value: bytes) -> Errand | None:
    """None where the cell is free, or has what another release has put there."""
    try:
        return None if value == FREE else _decode(value)
    except msgspec.MsgspecError:
        return None


def unknown_query(app: str, query_id: int) -> UnknownQuery:
    """Nobody remembers this query."""
    return UnknownQuery(
        f"Query {query_id} of application '{app}' is unknown or too old.",
        hint="Send feedback sooner, or name the input instead of the query.",
    )
