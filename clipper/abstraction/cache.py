"""The prediction cache: outputs of models, bounded in bytes, evicted by CLOCK.

Clipper (NSDI '17, "Caching") memoises `Predict(model, x) -> y` below the selection layer, so that a
change of policy invalidates nothing, and so that feedback finds the prediction it is about. Entries
are keyed by model version and the whole input, which is compared and not only hashed.

CLOCK approximates LRU with one bit an entry: the hand takes the entry in front, gives it another
round if its bit is set (and clears it), else evicts it. A deque is the ring; the hand is its front.
"""

from collections import deque
from typing import Protocol

import msgspec

from clipper.abstraction.vector_index import POSTING_BYTES
from clipper.core.metrics import CacheStats
from clipper.core.outputs import held_bytes
from clipper.core.types import Input, Output

ENTRY_OVERHEAD_BYTES = 400
"""What an entry costs besides its input and output: the objects and their place in the table."""


class Entry(msgspec.Struct, eq=False, gc=False):
    """One output. Its only cycle, through its home, ends when it leaves."""

    home: "ModelCache"
    input: Input
    output: Output
    size: int
    used: bool = False
    """CLOCK's bit."""
    code: int | None = None
    """Set while the entry is in an index by likeness."""


class Index(Protocol):
    """Told of every entry that comes and goes."""

    def add(self, entry: Entry) -> None:
        """An entry was taken in."""

    def remove(self, entry: Entry) -> None:
        """An entry left; it may never have been indexed."""


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
        stats, ring, most = self.stats, self._ring, self.capacity_bytes
        total = stats.bytes + entry.size
        if entry.size > most:
            return
        while total > most:
            passed = ring.popleft()  # what the hand is at
            if passed.used:
                passed.used = False
                ring.append(passed)
            else:
                passed.home.let_go(passed)
                total -= passed.size
                stats.entries -= 1
                stats.evictions += 1
        ring.append(entry)
        entry.home.take_in(entry)
        stats.bytes = total
        stats.entries += 1

    def forget(self, model: "ModelCache") -> None:
        """Let go of one model version's outputs."""
        for entry in self._ring:
            if entry.home is model:
                model.let_go(entry)
        self._ring = deque(entry for entry in self._ring if entry.home is not model)
        self.stats.entries = len(self._ring)
        self.stats.bytes = sum(entry.size for entry in self._ring)


class ModelCache:
    """One model version's part of the cache."""

    __slots__ = ("_cache", "_entries", "_index", "_is_open")

    def __init__(self, cache: PredictionCache) -> None:
        self._cache = cache
        self._entries: dict[Input, Entry] = {}
        self._index: Index | None = None
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
            if self._index is not None:
                size += POSTING_BYTES
            self._cache.admit(Entry(self, input, output, size))

    def index_with(self, index: Index | None) -> None:
        """Have an index follow what is stored from now on, or none."""
        if self._index is not None:
            for entry in self._entries.values():
                self._index.remove(entry)
        self._index = index

    def take_in(self, entry: Entry) -> None:
        """The cache has room for this entry of ours."""
        self._entries[entry.input] = entry
        if self._index is not None:
            self._index.add(entry)

    def let_go(self, entry: Entry) -> None:
        """The cache has no room for it any more."""
        del self._entries[entry.input]
        if self._index is not None:
            self._index.remove(entry)

    def close(self) -> None:
        """Forget everything and store nothing more: the version was deleted."""
        self._is_open = False
        self._cache.forget(self)
