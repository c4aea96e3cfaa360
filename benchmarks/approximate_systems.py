"""The index of the approximate cache, and what it is measured against: one interface for all.

A system takes vectors one at a time, as the cache does, and says whether it has one within the
radius of another. faiss, and hnswlib where it is installed, search for the nearest vector, by a
graph or by looking at all; the answer counts only if it is within the radius. hnswlib has to be
compiled, so that `make setup` leaves it out.
"""

import importlib.util
import math
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from clipper.abstraction.approximate import ApproximateIndex, Metric
from clipper.core.types import Input, InputType, Output

Vectors = npt.NDArray[np.float32]
"""float32[n, length]"""


class System(Protocol):
    """Finds near vectors."""

    def prepare(self, vectors: Vectors) -> list[Any]:
        """Vectors in the form in which they come."""

    def add(self, item: Any) -> None:
        """Take a prepared vector in."""

    def find(self, item: Any) -> bool:
        """Whether some vector within the radius is found."""


class Entry(msgspec.Struct, eq=False, gc=False):
    """As in the exact cache."""

    input: Input
    output: Output = Output(1, b"1")
    code: int | None = None


class Clipper:
    """Ours: vectors come as bytes, and with their output."""

    def __init__(self, metric: Metric, radius: float, length: int) -> None:
        rng = np.random.default_rng(1)
        self.index = ApproximateIndex[Entry](metric, radius, InputType.FLOATS, rng)

    def prepare(self, vectors: Vectors) -> list[Entry]:
        return [Entry(Input(vector.tobytes())) for vector in vectors]

    def add(self, item: Entry) -> None:
        self.index.add(item)

    def find(self, item: Entry) -> bool:
        return self.index.find(item.input) is not None


class _Placed:
    """Angles as distances of unit vectors, so that every system can measure them."""

    def __init__(self, metric: Metric, radius: float) -> None:
        self._is_angular = metric is Metric.ANGULAR
        self.reach = 2 * math.sin(radius / 2) if self._is_angular else radius

    def prepare(self, vectors: Vectors) -> list[Vectors]:
        if self._is_angular:
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return [vector[np.newaxis] for vector in vectors]


class Scan(_Placed):
    """All distances, as one product of a matrix and a vector."""

    def __init__(self, metric: Metric, radius: float, length: int) -> None:
        super().__init__(metric, radius)
        self._rows = np.empty((1024, length), np.float32)
        self._squares = np.empty(1024, np.float32)
        self._size = 0

    def add(self, item: Vectors) -> None:
        if self._size == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            self._squares = np.concatenate([self._squares, np.empty_like(self._squares)])
        self._rows[self._size] = item[0]
        self._squares[self._size] = item[0].dot(item[0])
        self._size += 1

    def find(self, item: Vectors) -> bool:
        products = self._rows[: self._size].dot(item[0])
        squares = self._squares[: self._size] - 2 * products + item[0].dot(item[0])
        return bool(squares.min() <= self.reach**2)


class Hnswlib(_Placed):
    """A graph of neighbours (Malkov and Yashunin 2016)."""

    def __init__(self, metric: Metric, radius: float, length: int) -> None:
        super().__init__(metric, radius)
        import hnswlib

        self._index = hnswlib.Index("l2", length)
        self._index.init_index(max_elements=10_000, M=16, ef_construction=100)
        self._index.set_ef(32)

    def add(self, item: Vectors) -> None:
        self._index.add_items(item, num_threads=1)

    def find(self, item: Vectors) -> bool:
        _, squares = self._index.knn_query(item, k=1, num_threads=1)
        return bool(squares[0, 0] <= self.reach**2)


class Faiss(_Placed):
    """One of faiss's indexes, by the string that describes it."""

    def __init__(self, description: str, metric: Metric, radius: float, length: int) -> None:
        super().__init__(metric, radius)
        import faiss

        faiss.omp_set_num_threads(1)
        self._index = faiss.index_factory(length, description)

    def add(self, item: Vectors) -> None:
        self._index.add(item)

    def find(self, item: Vectors) -> bool:
        squares, _ = self._index.search(item, 1)
        return bool(squares[0, 0] <= self.reach**2)


def yardsticks() -> dict[str, Callable[[Metric, float, int], System]]:
    """What there is to compare with on this machine; what is missing is said."""
    found: dict[str, Callable[[Metric, float, int], System]] = {"scan (numpy)": Scan}
    if _is_installed("hnswlib"):
        found["hnswlib"] = Hnswlib
    if _is_installed("faiss"):
        found["faiss HNSW"] = lambda *case: Faiss("HNSW16", *case)
        found["faiss Flat"] = lambda *case: Faiss("Flat", *case)
    return found


def _is_installed(package: str) -> bool:
    if importlib.util.find_spec(package) is not None:
        return True
    print(f"Without {package}: it is not installed.")
    return False
