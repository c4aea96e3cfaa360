"""The journal: what recent queries were answered with, so that feedback can name a query by its id.

Bounded by number and by bytes; the oldest go first.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from clipper.core.types import ModelId, Output
from clipper.selection.policy import Selection

ENTRY_OVERHEAD_BYTES = 500


@dataclass(slots=True)
class Record:
    """One answered query."""

    app: str
    context: str = ""
    selection: Selection | None = None
    """None: nothing can be learned from it (a version was asked for, or nothing was selected)."""
    outputs: Mapping[ModelId, Output] = field(default_factory=dict)
    size: int = ENTRY_OVERHEAD_BYTES
    """About how many bytes this holds."""
    is_judged: bool = False
    """Feedback has come already; it counts once."""


class Journal:
    """Recent queries by id."""

    def __init__(self, capacity: int, capacity_bytes: int = 64 * 1024 * 1024) -> None:
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._records: dict[int, Record] = {}
        self._order: deque[int] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def write(self, query_id: int, record: Record) -> None:
        """Remember an answer, and forget the oldest where the journal is full."""
        self._records[query_id] = record
        self._order.append(query_id)
        self._bytes += record.size
        while len(self._order) > self._capacity or self._bytes > self._capacity_bytes:
            self._bytes -= self._records.pop(self._order.popleft()).size

    def read(self, query_id: int) -> Record | None:
        """What a query was answered with, or None where it is unknown or too old."""
        return self._records.get(query_id)
