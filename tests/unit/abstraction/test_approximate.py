"""The index: what is near is found, what is far never is, and what was removed is gone."""

import tracemalloc

import numpy as np
import pytest

from clipper.abstraction.approximate import MAX_LENGTH, MAX_SHAPES, ApproximateIndex, Metric
from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import Input, InputType
from tests.fakes.entries import FakeEntry, vector

METRICS = list(Metric)
RADIUS = 0.1


def index_of(
    metric: Metric = Metric.EUCLIDEAN,
    radius: float = RADIUS,
    input_type: InputType = InputType.FLOATS,
    margin: float | None = None,
) -> ApproximateIndex[FakeEntry]:
    return ApproximateIndex(metric, radius, input_type, np.random.default_rng(5), margin)


def added(index: ApproximateIndex[FakeEntry], *inputs: Input) -> list[FakeEntry]:
    entries = [FakeEntry(input) for input in inputs]
    for entry in entries:
        index.add(entry)
    return entries


def random_inputs(count: int, length: int = 8, seed: int = 1) -> list[Input]:
    rng = np.random.default_rng(seed)
    return [vector(row) for row in rng.standard_normal((count, length))]


@pytest.fixture(params=METRICS)
def index(request: pytest.FixtureRequest) -> ApproximateIndex[FakeEntry]:
    return index_of(request.param)


def test_an_empty_index_has_nothing(index: ApproximateIndex[FakeEntry]) -> None:
    assert index.find(vector([1, 2])) is None
    assert (len(index), index.compared) == (0, 0)


def test_a_duplicate_is_found(index: ApproximateIndex[FakeEntry]) -> None:
    inputs = random_inputs(500)
    entries = added(index, *inputs)
    assert [index.find(Input(input.data)) for input in inputs] == entries


def test_something_near_is_found_and_something_far_is_not(
    index: ApproximateIndex[FakeEntry],
) -> None:
    (entry,) = added(index, vector([1, 0, 0]))
    assert index.find(vector([1, 0.001, 0])) is entry
    assert index.find(vector([1, 0.2, 0])) is None


def test_the_nearest_is_found() -> None:
    index = index_of(radius=1)
    one, other = added(index, vector([1, 0.1]), vector([1, 0.3]))
    assert index.find(vector([1, 0.15])) is one
    assert index.find(vector([1, 0.25])) is other


def test_the_length_of_a_vector_is_nothing_to_its_angle() -> None:
    index = index_of(Metric.ANGULAR)
    (entry,) = added(index, vector([1, 2, 3]))
    assert index.find(vector([100, 200, 300])) is entry
    assert index.find(vector([-1, -2, -3])) is None


def test_a_vector_without_direction_is_like_no_other() -> None:
    index = index_of(Metric.ANGULAR)
    (zero,) = added(index, vector([0, 0]))
    assert (zero.code, len(index)) == (None, 0)
    added(index, vector([1e-9, 0]))
    assert index.find(vector([0, 0])) is None


def test_negative_zero_is_zero() -> None:
    index = index_of(Metric.EUCLIDEAN)
    (entry,) = added(index, vector([0.0, 0.0]))
    assert index.find(vector([-0.0, 0.0])) is entry


def test_shapes_are_not_mixed(index: ApproximateIndex[FakeEntry]) -> None:
    data = vector([1, 2, 3, 4]).data
    (square,) = added(index, Input(data, (2, 2)))
    assert index.find(Input(data)) is None
    assert index.find(vector([1, 2])) is None
    assert index.find(Input(data, (2, 2))) is square


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("input_type", "dtype"),
    [(InputType.INTEGERS, "<i4"), (InputType.FLOATS, "<f4"), (InputType.DOUBLES, "<f8")],
)
def test_numbers_of_every_type_are_compared(
    metric: Metric, input_type: InputType, dtype: str
) -> None:
    index = index_of(metric, 0.5 if metric is Metric.ANGULAR else 50, input_type)
    (entry,) = added(index, vector([100, -200, 300], dtype))
    assert index.find(vector([101, -199, 302], dtype)) is entry
    assert index.find(vector([-100, 200, -300], dtype)) is None


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "values",
    [[1e-45, 2e-45], [3e38, -3e38], [1e308, 1e308], [5e-324, 0], [1e154, 1], [1e30, 1e-30]],
)
def test_extreme_numbers_do_no_harm(metric: Metric, values: list[float]) -> None:
    index = index_of(metric, input_type=InputType.DOUBLES)
    (entry,) = added(index, vector(values, "<f8"))
    assert index.find(vector(values, "<f8")) is (None if entry.code is None else entry)
    assert index.find(vector([-value for value in values], "<f8")) in (entry, None)
    index.remove(entry)
    assert len(index) == 0


@pytest.mark.parametrize("input_type", [InputType.STRINGS, InputType.BYTES, InputType.JSON])
def test_inputs_without_a_distance_are_refused(input_type: InputType) -> None:
    with pytest.raises(InvalidInput, match=f"{input_type} have no distance"):
        index_of(input_type=input_type)


@pytest.mark.parametrize("margin", [-0.1, float("nan")])
def test_an_impossible_margin_is_refused(margin: float) -> None:
    with pytest.raises(InvalidInput, match="margin"):
        index_of(margin=margin)


def test_given_a_margin_only_clear_scores_are_served() -> None:
    index = index_of(margin=0.5)
    clear = FakeEntry(vector([1, 0]), output_of([0.1, 0.9]))
    for entry in (
        clear,
        FakeEntry(vector([2, 0]), output_of([0.4, 0.6])),
        FakeEntry(vector([3, 0]), output_of("label")),
        FakeEntry(vector([4, 0]), output_of(7)),
    ):
        index.add(entry)
    found = [index.find(vector([first, 0.01])) for first in (1, 2, 3, 4)]
    assert found == [clear, None, None, None]


def test_what_was_removed_is_not_found(index: ApproximateIndex[FakeEntry]) -> None:
    inputs = random_inputs(200)
    entries = added(index, *inputs)
    for entry in entries[::2]:
        index.remove(entry)
    found = [index.find(input) for input in inputs]
    assert found[::2] == [None] * 100
    assert found[1::2] == entries[1::2]
    assert len(index) == 100


def test_when_the_last_entry_is_gone_so_is_all_memory(index: ApproximateIndex[FakeEntry]) -> None:
    entries = [FakeEntry(input) for input in random_inputs(2000, length=64)]
    tracemalloc.start()
    try:
        for entry in entries:
            index.add(entry)
        assert tracemalloc.get_traced_memory()[0] > 200_000
        for entry in entries:
            index.remove(entry)
        assert tracemalloc.get_traced_memory()[0] < 5000
    finally:
        tracemalloc.stop()


def test_removing_twice_or_what_never_was_there_is_nothing(
    index: ApproximateIndex[FakeEntry],
) -> None:
    (entry,) = added(index, vector([1, 2]))
    index.remove(FakeEntry(vector([1, 2])))
    assert len(index) == 1
    index.remove(entry)
    index.remove(entry)
    assert len(index) == 0


def test_adding_twice_is_adding_once(index: ApproximateIndex[FakeEntry]) -> None:
    (entry,) = added(index, vector([1, 2]))
    index.add(entry)
    assert len(index) == 1
    index.remove(entry)
    assert index.find(vector([1, 2])) is None


def test_an_entry_that_was_removed_may_come_back(index: ApproximateIndex[FakeEntry]) -> None:
    (entry,) = added(index, vector([1, 2]))
    index.remove(entry)
    index.add(entry)
    assert index.find(vector([1, 2])) is entry


def test_the_number_of_shapes_is_bounded(index: ApproximateIndex[FakeEntry]) -> None:
    inputs = [vector([1] * length) for length in range(1, MAX_SHAPES + 2)]
    entries = added(index, *inputs)
    assert index.find(inputs[-1]) is None
    index.remove(entries[0])
    index.add(entries[-1])
    assert index.find(inputs[-1]) is entries[-1]


@pytest.mark.parametrize("length", [0, MAX_LENGTH + 1])
def test_inputs_too_long_and_empty_ones_are_left_out(
    index: ApproximateIndex[FakeEntry], length: int
) -> None:
    (entry,) = added(index, vector(np.ones(length)))
    assert (entry.code, len(index)) == (None, 0)
    assert index.find(vector(np.ones(length))) is None


def test_the_longest_inputs_are_found(index: ApproximateIndex[FakeEntry]) -> None:
    values = np.random.default_rng(2).random(MAX_LENGTH)
    (entry,) = added(index, vector(values))
    assert index.find(vector(values + 1e-7)) is entry


@pytest.mark.parametrize("length", [4, 16, 100, 784])
@pytest.mark.parametrize("radius", [0.03, 0.1, 0.2])
@pytest.mark.parametrize("metric", METRICS)
def test_nine_in_ten_are_found_at_the_radius(metric: Metric, radius: float, length: int) -> None:
    rng = np.random.default_rng(9)
    found = 0
    for _ in range(4):
        index: ApproximateIndex[FakeEntry] = ApproximateIndex(
            metric, radius, InputType.DOUBLES, rng
        )
        places = rng.standard_normal((300, length))
        places /= np.linalg.norm(places, axis=1, keepdims=True)
        added(index, *(vector(place, "<f8") for place in places))
        aside = rng.standard_normal(places.shape)
        aside -= (aside * places).sum(axis=1, keepdims=True) * places
        aside *= np.tan(radius * 0.999) / np.linalg.norm(aside, axis=1, keepdims=True)
        if metric is Metric.EUCLIDEAN:
            aside *= radius / np.tan(radius)
        found += sum(index.find(vector(query, "<f8")) is not None for query in places + aside)
    assert found / 1200 > 0.85


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_seed_finds_the_same(metric: Metric) -> None:
    inputs = random_inputs(300)
    queries = [
        vector(np.frombuffer(input.data, "<f4") + np.float64(step))
        for input, step in zip(inputs, np.linspace(0, 0.2, 300), strict=True)
    ]
    runs = []
    for _ in range(2):
        index = index_of(metric)
        entries = added(index, *inputs)
        found = [index.find(query) for query in queries]
        runs.append([None if entry is None else entries.index(entry) for entry in found])
    assert runs[0] == runs[1]
    assert None in runs[0]
    assert any(runs[0])
