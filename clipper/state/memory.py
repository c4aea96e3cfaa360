"""A store in this process's memory: for tests and trials; what it holds ends with the process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from clipper.state.failures import cell_changed, configuration_changed, not_open
from clipper.state.store import CHANGES_KEPT, NOW, Cell, Changes, Configuration


@dataclass(slots=True)
class Memory:
    """What the stores opened on it share."""

    revision: int = 0
    records: dict[str, bytes] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    swaps: int = 0
    swapped: dict[str, int] = field(default_factory=dict)
    """The number of the last swap of each cell, the latest last."""


class MemoryStore:
    """A handle on a Memory. Nothing is awaited within a call, so that each is atomic."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.url = "memory://"
        self._memory = memory or Memory()
        self._opened = False

    async def open(self) -> None:
        """There is nothing to connect to."""
        self._opened = True

    async def close(self) -> None:
        """Refuse further calls; the memory keeps what it has."""
        self._opened = False

    async def revision(self) -> int:
        """The configuration's revision; 0 when nothing was ever written."""
        return self._shared().revision

    async def read(self) -> Configuration:
        """All configuration, consistent."""
        memory = self._shared()
        return Configuration(memory.revision, MappingProxyType(dict(memory.records)))

    async def commit(self, changes: Mapping[str, bytes | None], *, expected: int) -> int:
        """Write (or with None, delete) records; returns the new revision, or raises Conflict."""
        memory = self._shared()
        if memory.revision != expected:
            raise configuration_changed(expected)
        for key, value in changes.items():
            if value is None:
                memory.records.pop(key, None)
            else:
                memory.records[key] = value
        memory.revision += 1
        return memory.revision

    async def get(self, key: str) -> Cell | None:
        """One cell, or None."""
        return self._shared().cells.get(key)

    async def swap(self, key: str, value: bytes, *, expected: int) -> int:
        """Write a cell of the expected version; returns the new one, or raises Conflict."""
        memory = self._shared()
        cells = memory.cells
        version = cells[key].version if key in cells else 0
        if version != expected:
            raise cell_changed(key, expected)
        cells[key] = Cell(value, version + 1)
        memory.swaps += 1
        memory.swapped.pop(key, None)
        memory.swapped[key] = memory.swaps
        if len(memory.swapped) > CHANGES_KEPT:
            del memory.swapped[next(iter(memory.swapped))]
        return version + 1

    async def changes(self, since: int) -> Changes:
        """Which cells were swapped since that position."""
        memory = self._shared()
        if since == NOW:
            return Changes(memory.swaps, {})
        if not memory.swaps - CHANGES_KEPT <= since <= memory.swaps:
            return Changes(memory.swaps, None)
        versions: dict[str, int] = {}
        for key, number in reversed(memory.swapped.items()):
            if number <= since:
                break
            if key in memory.cells:
                versions[key] = memory.cells[key].version
        return Changes(memory.swaps, versions)

    async def discard(self, prefix: str) -> None:
        """Delete every cell whose key starts with the prefix."""
        cells = self._shared().cells
        for key in [key for key in cells if key.startswith(prefix)]:
            del cells[key]

    async def reserve(self, counter: str, count: int) -> int:
        """The first of `count` integers that nobody else was or will be given."""
        counters = self._shared().counters
        first = counters.get(counter, 0)
        counters[counter] = first + count
        return first

    def _shared(self) -> Memory:
        if not self._opened:
            raise not_open(self.url)
        return self._memory
