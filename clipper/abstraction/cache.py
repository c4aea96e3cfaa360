"""The prediction cache: outputs of models, bounded in bytes, evicted by CLOCK.

Clipper (NSDI '17, "Caching") memoises `Predict(model, x) -> y` below the selection layer, so that a
change of policy invalidates nothing, and so that feedback finds the prediction it is about. Entries
are keyed by model version and the whole input, which is compared and not only hashed.

CLOCK approximates LRU with one bit an entry: the hand takes the entry in front, gives it another
round if its bit is set (and clears it), else evicts it. A deque is the ring; the hand is its front.
"""

from collections import deque
from collections.abc import Callable

from clipper.core.metrics import CacheStats
from clipper.core.types import Input, Output

ENTRY_OVERHEAD_BYTES = 400
"""What an entry costs besides its input and output: the objects and their place in the table."""


class Entry:
    """One output; `used` is CLOCK's bit."""

    __slots__ = ("input", "output", "size", "table", "used")

    def __init__(self, table: "ModelCache", input: Input, output: Output) -> None:
        self.table = table
        self.input = input
        self.output = output
        self.size = len(input.data) + 2 * len(output.json) + ENTRY_OVERHEAD_BYTES
        self.used = False


class PredictionCache:
    """Every model's outputs under one bound; `stats.bytes <= capacity_bytes` always holds."""

    def __init__(self, capacity_bytes: int, stats: CacheStats) -> None:
        self.capacity_bytes = capacity_bytes
        self.stats = stats
        self._ring: deque[Entry] = deque()

    def partition(self) -> "ModelCache":
        """A fresh, empty part for one model version."""
        return ModelCache(self._admit)

    def _admit(self, entry: Entry) -> bool:
        """Make room for an entry and take it in; False where it is larger than the cache."""
        if entry.size > self.capacity_bytes:
            return False
        while self.stats.bytes + entry.size > self.capacity_bytes:
            self._advance_hand()
        self._ring.append(entry)
        self.stats.bytes += entry.size
        self.stats.entries += 1
        return True

    def _advance_hand(self) -> None:
        entry = self._ring.popleft()
        if entry.used:
            entry.used = False
            self._ring.append(entry)
            return
        entry.table.drop(entry)
        self.stats.bytes -= entry.size
        self.stats.entries -= 1
        self.stats.evictions += 1

    def clear(self, table: "ModelCache") -> None:
        """Forget one model version's outputs."""
        kept = deque(entry for entry in self._ring if entry.table is not table)
        self.stats.entries = len(kept)
        self.stats.bytes = sum(entry.size for entry in kept)
        self._ring = kept
        table.close()


class ModelCache:
    """One model version's part of the cache."""

    __slots__ = ("_admit", "_entries", "_is_open")

    def __init__(self, admit: Callable[[Entry], bool]) -> None:
        self._admit = admit
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
            entry = Entry(self, input, output)
            if self._admit(entry):
                self._entries[input] = entry

    def drop(self, entry: Entry) -> None:
        """Called by the cache when it evicts an entry."""
        del self._entries[entry.input]

    def close(self) -> None:
        """Forget everything and store nothing more: the version was deleted."""
        self._is_open = False
        self._entries.clear()
