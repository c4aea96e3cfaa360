"""Who asks what, and the requests for it."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from costs.asking import Batch
from costs.payloads import JSON, unique

ROUND_BYTES = 4_000_000
"""Of requests in a round, where they are large."""


class Scenario(NamedTuple):
    """Connections that all ask at the same time, again and again."""

    connections: int
    is_cached: bool = False
    numbers: int = 8
    """Floats of an input."""
    form: str = JSON

    def __str__(self) -> str:
        size = "" if self.numbers == 8 else f"{self.numbers} floats, "
        form = "" if self.form == JSON else f"{self.form}, "
        return f"{'cached' if self.is_cached else 'missed'}, {size}{form}{self.connections}"

    def rounds(self, queries: int) -> Iterator[list[Batch]]:
        """Batches of requests, about so many queries in each round, fewer of large ones."""
        requests = unique(numbers=self.numbers, form=self.form)
        first = next(requests)
        size = self.connections
        batches = max(1, min(queries, ROUND_BYTES // len(first)) // size)
        while True:
            if self.is_cached:
                yield [[first] * size] * batches
            else:
                yield [list(islice(requests, size)) for _ in range(batches)]
