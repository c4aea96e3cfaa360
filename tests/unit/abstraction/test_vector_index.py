"""Entries by their vectors: bounded work, and the bytes that were promised."""

import tracemalloc

import numpy as np
import pytest

from clipper.abstraction.distance import Angular, Euclidean, Floats
from clipper.abstraction.hashing import Hyperplanes, Projections
from clipper.abstraction.vector_index import POSTING_BYTES, VectorIndex
from tests.fakes.entries import FakeEntry, vector


def index_of(family: str, radius: float) -> VectorIndex[FakeEntry]:
    """For vectors of eight doubles."""
    rng = np.random.default_rng(5)
    if family == "angular":
        hyperplanes = Hyperplanes(radius, 8, rng)
        return VectorIndex(Angular(radius), hyperplanes, np.dtype("<f8"), 8)
    projections = Projections(radius, 8, rng)
    return VectorIndex(Euclidean(radius), projections, np.dtype("<f8"), 8)


@pytest.fixture(params=["angular", "euclidean"])
def index(request: pytest.FixtureRequest) -> VectorIndex[FakeEntry]:
    return index_of(request.param, 0.1)


def places(count: int) -> Floats:
    vectors = np.random.default_rng(1).standard_normal((count, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def alike(count: int) -> Floats:
    """Vectors of which most fall into one bucket."""
    return places(1) + np.arange(count)[:, np.newaxis] * 1e-9


def added(index: VectorIndex[FakeEntry], vectors: Floats) -> list[FakeEntry]:
    entries = [FakeEntry(vector(row, "<f8")) for row in vectors]
    for entry, row in zip(entries, vectors, strict=True):
        index.add(entry, row)
    return entries


def test_in_a_full_bucket_the_newest_takes_the_place_of_the_oldest(
    index: VectorIndex[FakeEntry],
) -> None:
    entries = added(index, alike(400))
    stayed = [entry.code is not None for entry in entries]
    assert len(index) == sum(stayed) < 400
    assert stayed == sorted(stayed)


def test_a_query_is_compared_with_a_bounded_number_of_entries(
    index: VectorIndex[FakeEntry],
) -> None:
    vectors = alike(400)
    added(index, vectors)
    assert index.find(vectors[-1]) is not None
    assert 0 < index.compared <= 512


def test_of_what_was_pushed_out_nothing_is_left(index: VectorIndex[FakeEntry]) -> None:
    for entry in added(index, alike(400)):
        index.remove(entry)
    assert len(index) == 0
    assert index.find(alike(1)[0]) is None


@pytest.mark.parametrize("family", ["angular", "euclidean"])
@pytest.mark.parametrize("count", [1000, 5500, 11_000])
@pytest.mark.parametrize("radius", [0.01, 0.3])
def test_an_entry_costs_no_more_than_it_is_said_to(family: str, count: int, radius: float) -> None:
    index, vectors = index_of(family, radius), places(count)
    entries = [FakeEntry(vector(row, "<f8")) for row in vectors]
    tracemalloc.start()
    try:
        for entry, row in zip(entries, vectors, strict=True):
            index.add(entry, row)
        assert tracemalloc.get_traced_memory()[0] <= count * POSTING_BYTES
    finally:
        tracemalloc.stop()
