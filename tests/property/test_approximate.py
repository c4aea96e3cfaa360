"""The index beside exact arithmetic: nothing beyond the radius, duplicates always, nothing left."""

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clipper.abstraction.approximate import DTYPES, ApproximateIndex, Metric
from clipper.core.types import Input, InputType
from tests.fakes.entries import FakeEntry, vector

NUMBERS: dict[InputType, st.SearchStrategy[Any]] = {
    InputType.INTEGERS: st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 3),
    InputType.FLOATS: st.floats(width=32, allow_nan=False, allow_infinity=False)
    | st.floats(-2, 2, width=32),
    InputType.DOUBLES: st.floats(allow_nan=False, allow_infinity=False) | st.floats(-2, 2),
}
RADII = {
    Metric.ANGULAR: st.floats(1e-6, 0.5),
    Metric.EUCLIDEAN: st.floats(1e-3, 1e3) | st.floats(1e-100, 1e100),
}
NUDGES = st.sampled_from([0.0, 0.5, 0.99, 1 - 1e-9, 1 - 1e-15, 1.0, 1 + 1e-15, 1 + 1e-9, 1.01])
"""Where a query lies on the way from a stored input, in radii."""


def numbers_of(input: Input, input_type: InputType) -> list[Fraction]:
    return [Fraction(value) for value in np.frombuffer(input.data, DTYPES[input_type]).tolist()]


def is_within(metric: Metric, radius: float, one: list[Fraction], other: list[Fraction]) -> bool:
    """By arithmetic that does not round, or at the 100th digit."""
    if metric is Metric.EUCLIDEAN:
        differences = [a - b for a, b in zip(one, other, strict=True)]
        return _dot(differences, differences) <= Fraction(radius) ** 2
    with localcontext(prec=100, Emax=10**6, Emin=-(10**6)):
        cosine = _decimal(_dot(one, other)) / (
            _decimal(_dot(one, one)).sqrt() * _decimal(_dot(other, other)).sqrt()
        )
        return cosine >= _cosine(Decimal(radius)) - Decimal(10) ** -60


def _dot(one: list[Fraction], other: list[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(one, other, strict=True)), Fraction(0))


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _cosine(angle: Decimal) -> Decimal:
    total, term = Decimal(0), Decimal(1)
    for order in range(1, 80, 2):
        total += term
        term *= -angle * angle / (order * (order + 1))
    return total


@st.composite
def searches(draw: st.DrawFn) -> tuple[Metric, float, InputType, list[Input], list[Input]]:
    """Stored inputs, and queries that are duplicates, anything, or about a radius away."""
    metric = draw(st.sampled_from(Metric))
    radius = draw(RADII[metric])
    input_type = draw(st.sampled_from(list(NUMBERS)))
    rows = st.lists(NUMBERS[input_type], min_size=3, max_size=3)
    stored, queries = draw(st.lists(rows, min_size=1, max_size=8)), draw(st.lists(rows, max_size=4))
    for row, nudge in draw(st.lists(st.tuples(st.sampled_from(stored), NUDGES), max_size=8)):
        queries.append(_nudged(metric, row, radius * nudge, input_type))
    dtype = DTYPES[input_type].str
    return (
        metric,
        radius,
        input_type,
        [vector(row, dtype) for row in stored],
        [vector(row, dtype) for row in stored + queries],
    )


def _nudged(metric: Metric, row: list[float], step: float, input_type: InputType) -> list[float]:
    place = np.array(row, dtype=np.float64)
    aside = np.eye(3)[0]
    if metric is Metric.ANGULAR and 1e-100 < np.abs(place).max() < 1e100:
        aside = np.cross(place, np.roll(np.eye(3), 1, axis=0)[np.abs(place).argmax()])
        step = np.tan(step) * np.linalg.norm(place) / np.linalg.norm(aside)
    low, high = _range(input_type)
    moved: list[float] = np.clip(place + step * aside, low, high).tolist()
    return [round(number) for number in moved] if input_type is InputType.INTEGERS else moved


def _range(input_type: InputType) -> tuple[float, float]:
    dtype = DTYPES[input_type]
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return float(limits.min), float(limits.max)


@given(search=searches(), seed=st.integers(0, 10))
def test_nothing_is_found_that_lies_beyond_the_radius(
    search: tuple[Metric, float, InputType, list[Input], list[Input]], seed: int
) -> None:
    metric, radius, input_type, stored, queries = search
    index: ApproximateIndex[FakeEntry] = ApproximateIndex(
        metric, radius, input_type, np.random.default_rng(seed)
    )
    entries = [FakeEntry(input) for input in stored]
    for entry in entries:
        index.add(entry)
    for query in queries:
        found = index.find(query)
        if found is not None:
            one, other = numbers_of(found.input, input_type), numbers_of(query, input_type)
            assert is_within(metric, radius, one, other)
    for entry in entries:
        if entry.code is not None:
            assert index.find(entry.input) is not None, "a duplicate is always found"
        index.remove(entry)
    assert len(index) == 0


@given(
    metric=st.sampled_from(Metric),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=100),
)
def test_exactly_the_entries_that_are_in_it_are_found(
    metric: Metric, steps: list[tuple[bool, int]]
) -> None:
    index: ApproximateIndex[FakeEntry] = ApproximateIndex(
        metric, 0.01, InputType.DOUBLES, np.random.default_rng(1)
    )
    data = [vector([np.cos(n / 10), np.sin(n / 10)], "<f8").data for n in range(31)]
    shapes = (None, (1, 2), (2, 1))
    entries = [FakeEntry(Input(data[n], shapes[n % 3])) for n in range(31)]
    present: set[int] = set()
    for is_added, number in steps:
        if is_added:
            index.add(entries[number])
            present.add(number)
        else:
            index.remove(entries[number])
            present.discard(number)
        assert len(index) == len(present)
        found = index.find(entries[number].input)
        assert found is (entries[number] if is_added else None)
