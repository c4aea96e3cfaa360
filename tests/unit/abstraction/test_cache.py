"""The prediction cache: exact, bounded in bytes, evicted by CLOCK."""

import pytest

from clipper.abstraction.cache import ENTRY_OVERHEAD_BYTES, ModelCache, PredictionCache
from clipper.core.metrics import CacheStats
from clipper.core.outputs import output_of
from clipper.core.types import Input, Output

ENTRY_BYTES = 1 + 2 * 1 + ENTRY_OVERHEAD_BYTES
"""An input of one byte, an output of one digit."""
ONE = Output(1, b"1")


def key(number: int) -> Input:
    return Input(bytes([number]))


@pytest.fixture
def stats() -> CacheStats:
    return CacheStats()


@pytest.fixture
def cache(stats: CacheStats) -> PredictionCache:
    """Has room for three entries."""
    return PredictionCache(3 * ENTRY_BYTES, stats)


@pytest.fixture
def model(cache: PredictionCache) -> ModelCache:
    return cache.partition()


def held(model: ModelCache, *numbers: int) -> list[int]:
    """Which of the numbers are there; looking at one sets its bit."""
    return [number for number in numbers if model.fetch(key(number)) is not None]


def test_an_empty_cache_has_nothing(model: ModelCache, stats: CacheStats) -> None:
    assert model.fetch(key(1)) is None
    assert stats == CacheStats()


def test_what_was_stored_is_fetched(model: ModelCache) -> None:
    model.store(key(1), ONE)
    assert model.fetch(key(1)) == ONE
    assert model.fetch(key(2)) is None


def test_inputs_of_equal_bytes_and_different_shape_are_different(model: ModelCache) -> None:
    data = bytes(24)
    model.store(Input(data), output_of("vector"))
    model.store(Input(data, (1, 3)), output_of("row"))
    assert model.fetch(Input(data)) == output_of("vector")
    assert model.fetch(Input(data, (1, 3))) == output_of("row")
    assert model.fetch(Input(data, (3, 1))) is None


def test_models_do_not_see_each_others_outputs(cache: PredictionCache) -> None:
    one, other = cache.partition(), cache.partition()
    one.store(key(1), ONE)
    assert other.fetch(key(1)) is None


def test_the_bytes_add_up(model: ModelCache, stats: CacheStats) -> None:
    model.store(key(1), ONE)
    model.store(key(2), ONE)
    assert (stats.bytes, stats.entries, len(model)) == (2 * ENTRY_BYTES, 2, 2)


def test_an_output_that_is_there_already_is_kept(model: ModelCache, stats: CacheStats) -> None:
    model.store(key(1), ONE)
    model.store(key(1), Output(2, b"2"))
    assert model.fetch(key(1)) == ONE
    assert (stats.bytes, stats.entries) == (ENTRY_BYTES, 1)


def test_without_hits_the_oldest_goes_first(model: ModelCache, stats: CacheStats) -> None:
    for number in range(5):
        model.store(key(number), ONE)
    assert held(model, *range(5)) == [2, 3, 4]
    assert stats.evictions == 2


def test_an_entry_that_was_used_gets_another_round(model: ModelCache) -> None:
    for number in (1, 2, 3):
        model.store(key(number), ONE)
    model.fetch(key(1))
    model.store(key(4), ONE)
    assert held(model, 1, 2, 3, 4) == [1, 3, 4]


def test_the_second_round_is_the_last_without_another_hit(model: ModelCache) -> None:
    for number in (1, 2, 3):
        model.store(key(number), ONE)
    model.fetch(key(1))
    for number in (4, 5, 6):
        model.store(key(number), ONE)
    assert held(model, 1, 2, 3, 4, 5, 6) == [4, 5, 6]


def test_where_everything_was_used_something_still_goes(model: ModelCache) -> None:
    for number in (1, 2, 3):
        model.store(key(number), ONE)
    assert held(model, 1, 2, 3) == [1, 2, 3]
    model.store(key(4), ONE)
    assert held(model, 1, 2, 3, 4) == [2, 3, 4]


def test_a_large_entry_drives_out_as_many_as_it_needs(model: ModelCache, stats: CacheStats) -> None:
    for number in (1, 2, 3):
        model.store(key(number), ONE)
    large = Input(bytes(ENTRY_BYTES + 1))
    model.store(large, ONE)
    assert model.fetch(large) == ONE
    assert held(model, 1, 2, 3) == [3]
    assert stats.bytes <= 3 * ENTRY_BYTES


def test_an_entry_larger_than_the_cache_drives_out_nothing(
    model: ModelCache, stats: CacheStats
) -> None:
    model.store(key(1), ONE)
    giant = Input(bytes(4 * ENTRY_BYTES))
    model.store(giant, ONE)
    assert model.fetch(giant) is None
    assert held(model, 1) == [1]
    assert stats.evictions == 0


def test_a_cache_of_no_bytes_stores_nothing(stats: CacheStats) -> None:
    model = PredictionCache(0, stats).partition()
    model.store(key(1), ONE)
    assert model.fetch(key(1)) is None
    assert stats == CacheStats()


def test_a_closed_part_is_empty_and_stays_so(cache: PredictionCache, stats: CacheStats) -> None:
    doomed, other = cache.partition(), cache.partition()
    doomed.store(key(1), ONE)
    other.store(key(2), ONE)
    doomed.close()
    doomed.store(key(3), ONE)
    assert held(doomed, 1, 3) == []
    assert held(other, 2) == [2]
    assert (stats.bytes, stats.entries) == (ENTRY_BYTES, 1)


def test_a_fresh_part_does_not_see_what_a_closed_one_had(cache: PredictionCache) -> None:
    first = cache.partition()
    first.store(key(1), ONE)
    first.close()
    assert cache.partition().fetch(key(1)) is None
