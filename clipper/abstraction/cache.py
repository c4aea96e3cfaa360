"""The prediction cache: outputs of models, bounded in bytes, evicted by CLOCK.

Clipper (NSDI '17, "Caching") memoises `Predict(model, x) -> y` below the selection layer, so that a
change of policy invalidates nothing, and so that feedback finds the prediction it is about. Entries
are keyed by model version and the whole input, which is compared and not only hashed.

CLOCK approximates LRU with one bit an entry: the hand takes the entry in front, gives it another
round if its bit is set (and clears it), else evicts it. A deque is the ring; the hand is its front.
"""

from collections import deque

import msgspec

from clipper.core.metrics import CacheStats
from clipper.core.outputs import held_bytes
from clipper.core.types import Input, Output

ENTRY_OVERHEAD_BYTES = 400
"""What an entry costs besides its input and output: the objects and their place in the table."""


class Entry(msgspec.Struct, eq=False, gc=False):
    """One output; `used` is CLOCK's bit. Its only cycle, through the table, ends when it leaves."""

    table: dict[Input, "Entry"]
    input: Input
    output: Output
    size: int
    used: bool = False


class PredictionCache:
    """Every model's outputs under one bound; `stats.bytes <= capacity_bytes` always holds."""

    def __init__(self, capacity_bytes: int, stats: CacheStats) -> None:
        self.capacity_bytes = capacity_bytes
        self.stats = stats
        self._ring: deque[Entry] = deque()

    def partition(self) -> "ModelCache":
        """A fresh, empty part for one model version."""
        return ModelCache(self)

    def admit(self, entry: Entry) -> None:
        """Take an entry in, and evict others until it has room; one that never can have is not."""
        stats, size = self.stats, entry.size
        if size > self.capacity_bytes:
            return
        while stats.bytes + size > self.capacity_bytes:
            self._advance_hand()
        self._ring.append(entry)
        entry.table[entry.input] = entry
        stats.bytes += size
        stats.entries += 1

    def _advance_hand(self) -> None:
        entry = self._ring.popleft()
        if entry.used:
            entry.used = False
            self._ring.append(entry)
            return
        del entry.table[entry.input]
        self.stats.bytes -= entry.size
        self.stats.entries -= 1
        self.stats.evictions += 1

    def forget(self, table: dict[Input, Entry]) -> None:
        """Let go of one model version's outputs."""
        self._ring = deque(entry for entry in self._ring if entry.table is not table)
        table.clear()
        self.stats.entries = len(self._ring)
        self.stats.bytes = sum(entry.size for entry in self._ring)


class ModelCache:
    """One model version's part of the cache."""

    __slots__ = ("_cache", "_entries", "_is_open")

    def __init__(self, cache: PredictionCache) -> None:
        self._cache = cache
        self._entries: dict[Input, Entry] = {}
        self._is_open = True

    def __len__(self) -> int:
        return len(self._entries)

    def fetch(self, input: Input) -> Output | None:
        """The output for exactly this input, or None."""
        entry = self._entries.get(input)
        if entry is None:
            return None
        entry.used = True
        return entry.output

    def store(self, input: Input, output: Output) -> None:
        """Remember an output; one that is there already is kept."""
        if self._is_open and input not in self._entries:
            size = len(input.data) + held_bytes(output) + ENTRY_OVERHEAD_BYTES
            self._cache.admit(Entry(self._entries, input, output, size))

    def close(self) -> None:
        """Forget everything and store nothing more: the version was deleted."""
        self._is_open = False
        self._cache.forget(self._entries)
