"""Feedback about queries that another daemon on the same store has answered.

Who answered a query remembers what was said, and nobody else. So the feedback is put up in the
store, as much of it in one cell as waits just then; every daemon looks there for what has changed
(`SelectionStates.refresh`), takes on what is about its own queries and puts up what came of it.
Nothing is learned twice, whoever stops waiting: who takes it on goes by its own journal.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from random import Random
from typing import Any, NamedTuple

import msgspec

from clipper.core.clock import utc_now
from clipper.core.errors import (
    ClipperError,
    Conflict,
    InvalidInput,
    Overloaded,
    StateError,
    Unanswered,
    UnknownQuery,
    error_of,
)
from clipper.core.tasks import Tasks
from clipper.state.store import Store

log = logging.getLogger(__name__)

PREFIX = "errand/"
CELLS = 64
AT_ONCE = 4
"""Cells that one process uses at a time."""
CELL_BYTES = 64 * 1024
LINE = 4096
"""So many may wait to be put up."""
PATIENCE_S = 0.5
"""Who has not taken it on by then does not know the query."""
RESULT_S = 10.0
"""How long the lesson may take after that."""
RETRY_S = 0.05
ABANDONED_S = 30.0
"""Whoever put up what is so old does not wait for it any more."""

Knows = Callable[[str, int], bool]
"""Whether this process has answered the query of this id for this application."""
Teach = Callable[[str, int, Any, str | None], Awaitable[bool]]
"""(app, query id, label, context): as `Feedback.by_query`."""


class Outcome(msgspec.Struct):
    """Whether something was learned, or why not; at first, that somebody is at it."""

    is_pending: bool = False
    learned: bool = False
    code: str = ""
    message: str = ""
    hint: str = ""


PENDING = Outcome(is_pending=True)


class Errand(msgspec.Struct):
    """Feedback about one query."""

    app: str
    query_id: int
    label: Any
    context: str | None
    outcome: Outcome | None = None


class Posted(msgspec.Struct):
    """What is in a cell that is taken."""

    token: int
    """Tells one use of the cell from another."""
    sent_at: float
    """Seconds since 1970."""
    errands: list[Errand]


class Waiting(NamedTuple):
    """An errand in the line, its size in bytes, and whoever waits for its outcome."""

    errand: Errand
    size: int
    told: "asyncio.Future[Outcome | None]"


FREE = b""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Posted).decode


class Errands:
    """Sent to other daemons, and run for them."""

    def __init__(self, store: Store, knows: Knows, teach: Teach, random: Random) -> None:
        """`knows` and `teach` are of the queries of this process only."""
        self._store = store
        self._knows = knows
        self._teach = teach
        self._random = random
        self._is_shared = not store.url.startswith("memory:")
        """Whether there may be other daemons on it."""
        self._line: deque[Waiting] = deque()
        self._senders = 0
        self._changed: dict[str, asyncio.Event] = {}
        """By the key of each cell that we wait for."""
        self._runs: set[str] = set()
        """Keys of the cells that we look at for others."""
        self._tasks = Tasks()

    async def send(self, app: str, query_id: int, label: Any, context: str | None) -> bool:
        """Have whoever knows the query learn from it.

        Raises:
            UnknownQuery: nobody says that it does.
            InvalidInput: too large to be sent.
            Overloaded: too many wait to be sent.
            Unanswered: who knows it does not say what came of it.
            ClipperError: as `Feedback.by_query`, there.
            StateError: the store cannot be used.
        """
        if not self._is_shared:
            raise unknown_query(app, query_id)
        errand = Errand(app, query_id, label, context)
        size = len(_encode(errand))
        if size > CELL_BYTES:
            raise InvalidInput(
                f"Query {query_id} was not answered by this daemon, and feedback of {size} bytes "
                "is too large to be handed on.",
                hint="Send it to the daemon that has answered the query.",
            )
        if len(self._line) >= LINE:
            raise Overloaded(f"{LINE} feedbacks wait already to be handed on to other daemons.")
        waiting = Waiting(errand, size, asyncio.get_running_loop().create_future())
        self._line.append(waiting)
        if self._senders < AT_ONCE:
            self._senders += 1
            self._tasks.spawn("send errands", self._send_all())
        return _result(errand, await waiting.told)

    async def _send_all(self) -> None:
        """Until nothing waits."""
        try:
            while self._line:
                batch = self._batch()
                try:
                    await self._sent(batch)
                except BaseException as error:
                    for waiting in batch:
                        if not waiting.told.done():
                            waiting.told.set_exception(error)
                    if not isinstance(error, ClipperError):
                        raise
        finally:
            self._senders -= 1

    def _batch(self) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        while self._line and (not batch or size + self._line[0].size <= CELL_BYTES):
            waiting = self._line.popleft()
            size += waiting.size
            batch.append(waiting)
        return batch

    async def _sent(self, batch: list[Waiting]) -> None:
        """Tell everyone what came of it, as soon as that is known."""
        errands = [waiting.errand for waiting in batch]
        posted = Posted(self._random.getrandbits(53), utc_now(), errands)
        key = await self._post(posted)
        changed = self._changed[key] = asyncio.Event()
        now = asyncio.get_running_loop().time()
        open_ = dict(enumerate(batch))
        try:
            for until in (now + PATIENCE_S, now + RESULT_S):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        while open_:
                            await changed.wait()
                            changed.clear()
                            await self._tell(key, posted, open_)
                # By now whoever knows a query has said so.
                for place in [place for place in open_ if errands[place].outcome is None]:
                    _tell(open_.pop(place), None)
            for waiting in open_.values():
                _tell(waiting, PENDING)
        finally:
            del self._changed[key]
            with contextlib.suppress(StateError):  # who comes next finds it abandoned
                await self._leave(key, posted)

    async def _tell(self, key: str, posted: Posted, open_: dict[int, Waiting]) -> None:
        """Note what is in the cell, and tell those of whom it says what came of it."""
        found = await self._store.get(key)
        current = None if found is None else _read(found.value)
        if current is None or current.token != posted.token:
            return
        for place in list(open_):
            outcome = posted.errands[place].outcome = current.errands[place].outcome
            if outcome is not None and not outcome.is_pending:
                _tell(open_.pop(place), outcome)

    async def _post(self, posted: Posted) -> str:
        """The key of the cell that it is in."""
        for _ in range(int(PATIENCE_S / RETRY_S)):
            key = f"{PREFIX}{self._random.randrange(CELLS)}"
            found = await self._store.get(key)
            other = None if found is None else _read(found.value)
            if other is None or posted.sent_at - other.sent_at > ABANDONED_S:
                expected = 0 if found is None else found.version
                with contextlib.suppress(Conflict):
                    await self._store.swap(key, _encode(posted), expected=expected)
                    return key
            await asyncio.sleep(RETRY_S)
        raise Overloaded("Too much feedback waits to be handed on to other daemons.")

    async def _leave(self, key: str, posted: Posted) -> None:
        while True:
            found = await self._store.get(key)
            current = None if found is None else _read(found.value)
            if found is None or current is None or current.token != posted.token:
                return
            with contextlib.suppress(Conflict):
                await self._store.swap(key, FREE, expected=found.version)
                return

    def notice(self, keys: Iterable[str]) -> None:
        """These cells have changed: ours may have an outcome, others' something for us to learn."""
        for key in keys:
            if key in self._changed:
                self._changed[key].set()
            elif key.startswith(PREFIX) and key not in self._runs:
                self._runs.add(key)
                self._tasks.spawn(f"run the errands of {key}", self._run_all(key))

    async def _run_all(self, key: str) -> None:
        try:
            while await self._run(key):
                pass
        except StateError as error:
            log.warning("Feedback from another daemon is not learned: %s", error.message)
        finally:
            self._runs.discard(key)

    async def _run(self, key: str) -> bool:
        """Learn what is in a cell about our queries; whether there was anything."""
        found = await self._store.get(key)
        posted = None if found is None else _read(found.value)
        if posted is None:
            return False
        ours = {
            place: errand
            for place, errand in enumerate(posted.errands)
            if errand.outcome is None and self._knows(errand.app, errand.query_id)
        }
        if not ours or not await self._note(key, posted.token, dict.fromkeys(ours, PENDING)):
            return False
        outcomes = await asyncio.gather(*map(self._learned, ours.values()))
        return await self._note(key, posted.token, dict(zip(ours, outcomes, strict=True)))

    async def _note(self, key: str, token: int, outcomes: Mapping[int, Outcome]) -> bool:
        """Put up outcomes, by place; False where nobody waits for them any more."""
        while True:
            found = await self._store.get(key)
            posted = None if found is None else _read(found.value)
            if found is None or posted is None or posted.token != token:
                return False
            for place, outcome in outcomes.items():
                posted.errands[place].outcome = outcome
            with contextlib.suppress(Conflict):
                await self._store.swap(key, _encode(posted), expected=found.version)
                return True

    async def _learned(self, errand: Errand) -> Outcome:
        try:
            taught = self._teach(errand.app, errand.query_id, errand.label, errand.context)
            return Outcome(learned=await taught)
        except ClipperError as error:
            return Outcome(code=error.code, message=error.message, hint=error.hint)

    async def close(self) -> None:
        """Leave it all."""
        await self._tasks.cancel()


def _read(value: bytes) -> Posted | None:
    """None where the cell is free, or has what another release has put there."""
    try:
        return None if value == FREE else _decode(value)
    except msgspec.MsgspecError:
        return None


def _tell(waiting: Waiting, outcome: Outcome | None) -> None:
    if not waiting.told.done():
        waiting.told.set_result(outcome)


def _result(errand: Errand, outcome: Outcome | None) -> bool:
    if outcome is None:
        raise unknown_query(errand.app, errand.query_id)
    if outcome.is_pending:
        raise Unanswered(
            f"The daemon that has answered query {errand.query_id} does not say what it has "
            "learned.",
            hint="Send the feedback again: it counts once.",
        )
    if outcome.code:
        raise error_of(outcome.code, outcome.message, outcome.hint)
    return outcome.learned


def unknown_query(app: str, query_id: int) -> UnknownQuery:
    """Nobody remembers this query."""
    return UnknownQuery(
        f"Query {query_id} of application '{app}' is unknown or too old.",
        hint="Send feedback sooner, or name the input instead of the query.",
    )
