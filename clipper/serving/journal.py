"""The journal: what recent queries were answered with, so that feedback can name a query by its id.

Bounded by number and by bytes; the oldest go first.
"""

from collections import deque
from collections.abc import Mapping

import msgspec

from clipper.core.types import ModelId, Output
from clipper.selection.policy import Selection

JOURNAL_BYTES = 64 * 1024 * 1024


class Record(msgspec.Struct, eq=False):
    """One answered query."""

    app: str
    context: str = ""
    selection: Selection | None = None
    """None: nothing can be learned from it (a version was asked for, or nothing was selected)."""
    outputs: Mapping[ModelId, Output] = {}
    size: int = 0
    """About how many bytes this holds."""
    is_judged: bool = False
    """Feedback has come already; it counts once."""


class Journal:
    """Recent queries by id.

    Most applications learn nothing: of their queries only the application is noted, in a ring with
    a place for each of the last ids. What can be learned from is held by id, bounded in bytes too.
    """

    def __init__(self, capacity: int, capacity_bytes: int = JOURNAL_BYTES) -> None:
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._ids = [-1] * capacity
        self._notes: list[Record | None] = [None] * capacity
        self._records: dict[int, Record] = {}
        self._order: deque[int] = deque()
        self._bytes = 0

    def write(self, query_id: int, record: Record) -> None:
        """Remember an answer, and forget the oldest where the journal is full."""
        if not record.size:
            place = query_id % self._capacity
            self._ids[place] = query_id
            self._notes[place] = record
            return
        self._records[query_id] = record
        self._order.append(query_id)
        self._bytes += record.size
        while len(self._order) > self._capacity or self._bytes > self._capacity_bytes:
            self._bytes -= self._records.pop(self._order.popleft()).size

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
