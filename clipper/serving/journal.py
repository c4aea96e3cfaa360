"""The journal: what recent queries were answered with, so that feedback can name a query by its id.

Bounded by number and by bytes; the oldest go first. What can be learned from is written to a file
now and then, and read back after a restart.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from clipper.core.outputs import NOT_JSON, parse_json
from clipper.core.types import ModelId, Output
from clipper.selection.policy import Selection
from clipper.state.entries import EntryFile

log = logging.getLogger(__name__)

JOURNAL_BYTES = 64 * 1024 * 1024
RECORD_BYTES = 800
"""What a record takes, besides its outputs."""


class Record(msgspec.Struct, eq=False):
    """One answered query."""

    app: str
    registered: int = 0
    """Which application of that name."""
    context: str = ""
    selection: Selection | None = None
    """None: nothing can be learned from it (a version was asked for, or nothing was selected)."""
    outputs: Mapping[ModelId, Output] = {}
    size: int = 0
    """About how many bytes this holds."""
    is_judged: bool = False
    """Feedback has come already; it counts once."""


class Entry(msgspec.Struct, array_like=True):
    """A record in the file."""

    id: int
    app: str
    registered: int
    context: str
    selection: Selection
    outputs: dict[ModelId, bytes]
    size: int


PRESSING = 32
"""So many queries may have been judged before that is written, whenever its time is. Of as many the
selection states know themselves (`states.REMEMBERED`), so that none is judged again after a crash.
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry | int).decode
"""A bare number is a query that was judged."""


class Journal:
    """Recent queries by id.

    Most applications learn nothing: of their queries only the application is noted, in a ring with
    a place for each of the last ids. What can be learned from is held by id, bounded in bytes too.
    """

    def __init__(
        self,
        capacity: int,
        capacity_bytes: int = JOURNAL_BYTES,
        file: EntryFile | None = None,
    ) -> None:
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._ids = [-1] * capacity
        self._notes: list[Record | None] = [None] * capacity
        self._records: dict[int, Record] = {}
        self._order: deque[int] = deque()
        self._bytes = 0
        self._file = file
        self._unwritten: list[tuple[int, Record | None]] = []
        self._judged = 0
        """Among these."""
        self.pressed = asyncio.Event()
        """Set when they should not wait to be written."""

    def write(self, query_id: int, record: Record) -> None:
        """Remember an answer, and forget the oldest where the journal is full."""
        if not record.size:
            place = query_id % self._capacity
            self._ids[place] = query_id
            self._notes[place] = record
            return
        self._hold(query_id, record)
        if self._file is not None:
            self._unwritten.append((query_id, record))

    def judge(self, query_id: int) -> None:
        """Feedback about this query was learned from."""
        if self._file is not None:
            self._unwritten.append((query_id, None))
            self._judged += 1
            if self._judged >= PRESSING:
                self.pressed.set()

    def _hold(self, query_id: int, record: Record) -> None:
        if query_id in self._records:  # the store has lost its count, and ids are given anew
            self._bytes -= self._records[query_id].size
            self._order.remove(query_id)
        self._records[query_id] = record
        self._order.append(query_id)
        self._bytes += record.size
        while len(self._order) > self._capacity or self._bytes > self._capacity_bytes:
            self._bytes -= self._records.pop(self._order.popleft()).size

    def recall(self, inherited: Sequence[EntryFile] = ()) -> None:
        """Read what an earlier life has written, and take over what there is of others."""
        if self._file is None:
            return
        try:
            entries = self._file.read()
            for file in inherited:
                taken = file.read()
                self._file.append(taken)
                file.remove()
                entries += taken
        except OSError as error:
            self._give_up(error)
            return
        unreadable = []
        for entry in entries:
            try:
                known = _decode(entry)
                if isinstance(known, Entry):
                    self._hold(*_record(known))
                elif known in self._records:
                    self._records[known].is_judged = True
            except (msgspec.MsgspecError, ValueError, *NOT_JSON) as error:
                unreadable.append(error)
        if unreadable:
            reason = unreadable[0]
            log.warning("%d entries of the journal cannot be read: %s", len(unreadable), reason)

    def take(self) -> list[bytes]:
        """What is to be written to the file, which nobody else will be told of."""
        unwritten, self._unwritten, self._judged = self._unwritten, [], 0
        self.pressed.clear()
        if self._file is None:
            return []
        return [
            _encode(query_id if record is None else _entry(query_id, record))
            for query_id, record in unwritten
        ]

    def save(self, entries: list[bytes]) -> None:
        """Write them to the file; blocks. Where that fails, nothing will be there after a restart.

        Safe to be called from another thread.
        """
        if self._file is None or not entries:
            return
        try:
            self._file.append(entries)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._file = None
        log.warning(
            "The journal will not outlive this process: %s", error, extra={"action": "no_journal"}
        )

    def forget(self, app: str) -> None:
        """An application was deleted: one of the same name must not get its feedback."""
        for place, note in enumerate(self._notes):
            if note is not None and note.app == app:
                self._ids[place], self._notes[place] = -1, None
        self._order = deque(id for id in self._order if self._records[id].app != app)
        self._records = {id: self._records[id] for id in self._order}
        self._bytes = sum(record.size for record in self._records.values())

    def read(self, query_id: int) -> Record | None:
        """What a query was answered with, or None where it is unknown or too old."""
        place = query_id % self._capacity
        if self._ids[place] == query_id:
            return self._notes[place]
        return self._records.get(query_id)


def _entry(query_id: int, record: Record) -> Entry:
    assert record.selection is not None
    outputs = {model: output.json for model, output in record.outputs.items()}
    return Entry(
        query_id,
        record.app,
        record.registered,
        record.context,
        record.selection,
        outputs,
        record.size,
    )


def _record(entry: Entry) -> tuple[int, Record]:
    return entry.id, Record(
        entry.app,
        entry.registered,
        entry.context,
        entry.selection,
        {model: parse_json(text) for model, text in entry.outputs.items()},
        entry.size,
    )
