"""The cache beside a plain dict: never wrong, never larger than it may be."""

from hypothesis import given
from hypothesis import strategies as st

from clipper.abstraction.cache import ENTRY_OVERHEAD_BYTES, PredictionCache
from clipper.core.metrics import CacheStats
from clipper.core.outputs import output_of
from clipper.core.types import Input, Output

keys = st.integers(0, 9)
sizes = st.integers(0, 200)
operations = st.lists(
    st.tuples(st.sampled_from(["store", "store", "fetch", "close"]), st.integers(0, 1), keys, sizes)
)


@given(capacity=st.integers(0, 8 * ENTRY_OVERHEAD_BYTES), operations=operations)
def test_it_is_bounded_and_gives_back_what_was_stored(
    capacity: int, operations: list[tuple[str, int, int, int]]
) -> None:
    stats = CacheStats()
    cache = PredictionCache(capacity, stats)
    models = [cache.partition(), cache.partition()]
    stored: list[dict[Input, Output]] = [{}, {}]
    for operation, which, key, size in operations:
        model, known, input = models[which], stored[which], Input(b"%d" % key)
        found = model.fetch(input)
        assert found is None or found == known[input], "the first output is kept"
        if operation == "store":
            model.store(input, output_of("x" * size))
            if found is None:
                known[input] = output_of("x" * size)
        elif operation == "close":
            model.close()
            models[which], stored[which] = cache.partition(), {}
        assert 0 <= stats.bytes <= capacity
        assert stats.entries == sum(map(len, models))
        assert stats.bytes >= stats.entries * ENTRY_OVERHEAD_BYTES
    for model in models:
        model.close()
    assert (stats.bytes, stats.entries) == (0, 0)


@given(stream=st.lists(st.integers(0, 30), max_size=200))
def test_a_hit_is_always_the_output_of_exactly_that_input(stream: list[int]) -> None:
    cache = PredictionCache(6 * (ENTRY_OVERHEAD_BYTES + 10), CacheStats())
    model = cache.partition()
    for number in stream:
        found = model.fetch(Input(b"%d" % number))
        if found is None:
            model.store(Input(b"%d" % number), output_of(number))
            found = model.fetch(Input(b"%d" % number))
        assert found is not None
        assert found.value == number
