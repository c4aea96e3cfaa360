"""Entries by their vectors, all of one length: the nearest one within a radius.

Locality-sensitive hashing finds candidates; only their true distance decides. Whatever the hash
does, an entry that is farther away than the radius is never found; an unlucky code costs a hit.

No vectors are kept: candidates are compared by the bytes of their inputs, which the exact cache
holds anyway. So an entry costs POSTING_BYTES here, whatever its length.
"""

from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from clipper.abstraction.distance import Distance, Floats
from clipper.abstraction.hashing import Hash
from clipper.core.types import Input, Output

POSTING_BYTES = 200
"""What an entry costs: its code, its bucket, and its place in the table of buckets."""
MAX_COMPARED = 2**15
"""Numbers that are compared for one query, about; of at least 4 inputs and at most 256."""


class Indexed(Protocol):
    """An entry of the exact cache; `code` is the index's note on it."""

    input: Input
    output: Output
    code: int | None
    """None while the entry is not in the index."""


E = TypeVar("E", bound=Indexed)


class VectorIndex(Generic[E]):
    """Entries whose inputs are vectors of one length.

    A bucket, the entries of one code, is bounded, so that every step is: in a full one the newest
    takes the place of the oldest. No bucket is empty.
    """

    def __init__(self, distance: Distance, hash: Hash, dtype: np.dtype[Any], length: int) -> None:
        self.compared = 0
        """Candidates whose distance was computed, in all."""
        self._distance = distance
        self._hash = hash
        self._dtype = dtype
        self._reach = distance.reach(length)
        self._limit = min(max(MAX_COMPARED // length, 4), 256)
        self._buckets: dict[int, list[E]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def find(self, vector: Floats) -> E | None:
        """The nearest within reach among the first candidates."""
        candidates = self._candidates(self._hash.probes(vector))
        if not candidates:
            return None
        self.compared += len(candidates)
        data = b"".join([entry.input.data for entry in candidates])
        rows = np.frombuffer(data, self._dtype).astype(np.float64).reshape(-1, len(vector))
        best = self._distance.nearest(rows, vector, self._reach)
        return None if best is None else candidates[best]

    def _candidates(self, codes: list[int]) -> list[E]:
        found: list[E] = []
        for bucket in filter(None, map(self._buckets.get, codes)):
            found += bucket
            if len(found) >= self._limit:
                break
        return found

    def add(self, entry: E, vector: Floats) -> None:
        """Put an entry, whose input has this place, into its bucket."""
        entry.code = self._hash.code(vector)
        bucket = self._buckets.setdefault(entry.code, [])
        bucket.append(entry)
        self._size += 1
        if len(bucket) > self._limit:
            self.remove(bucket[0])

    def remove(self, entry: E) -> None:
        """Take an entry out of its bucket, if it is in one."""
        if entry.code is not None:
            bucket = self._buckets[entry.code]
            bucket.remove(entry)
            self._size -= 1
            if not bucket:
                del self._buckets[entry.code]
            entry.code = None
