"""Distances: what has one, and what is within reach."""

import math

import numpy as np
import pytest

from clipper.abstraction.distance import Angular, Distance, Euclidean, Floats
from clipper.core.errors import InvalidInput


def is_near(distance: Distance, one: Floats, other: Floats) -> bool:
    place = distance.place(other)
    assert place is not None
    return distance.nearest(np.array([one]), place, distance.reach(len(one))) == 0


def turned(angle: float) -> Floats:
    """A vector of length 3, turned from the first axis."""
    return 3 * np.array([math.cos(angle), math.sin(angle), 0])


@pytest.mark.parametrize("radius", [1e-6, 0.01, 0.1, 0.5])
def test_an_angle_is_in_radians_and_the_length_makes_no_difference(radius: float) -> None:
    distance = Angular(radius)
    assert is_near(distance, turned(0), 7 * turned(radius * 0.9999))
    assert not is_near(distance, turned(0), 7 * turned(radius * 1.0001))


@pytest.mark.parametrize("radius", [1e-9, 0.1, 1, 1e9])
def test_the_euclidean_distance_is_the_length_of_the_difference(radius: float) -> None:
    distance = Euclidean(radius)
    origin, away = np.zeros(2), np.array([3.0, 4.0]) / 5 * radius
    assert is_near(distance, origin, away * 0.9999)
    assert not is_near(distance, origin, away * 1.0001)


def test_opposite_vectors_are_not_near() -> None:
    assert not is_near(Angular(0.5), turned(0), turned(math.pi))


@pytest.mark.parametrize("scale", [0, 1e-160, 1e160])
def test_a_vector_without_direction_or_out_of_range_has_no_place(scale: float) -> None:
    assert Angular(0.1).place(scale * np.ones(4)) is None


@pytest.mark.parametrize("scale", [1e-45, 3e38, 1e100])
def test_directions_of_very_short_and_very_long_vectors_are_compared(scale: float) -> None:
    assert is_near(Angular(0.1), scale * turned(0), scale * turned(0.09))
    assert not is_near(Angular(0.1), scale * turned(0), scale * turned(0.11))


def test_a_vector_so_long_that_the_radius_is_lost_in_rounding_has_no_place() -> None:
    assert Euclidean(0.1).place(np.array([1e10, 0])) is not None
    assert Euclidean(0.1).place(np.array([1e12, 0])) is None
    assert Euclidean(0.1).place(np.array([1e200, 0])) is None


def test_not_a_number_has_no_place() -> None:
    for distance in (Angular(0.1), Euclidean(0.1)):
        assert distance.place(np.array([1, math.nan])) is None
        assert distance.place(np.array([1, math.inf])) is None


def test_the_nearest_of_several_is_found() -> None:
    rows = np.array([[3.0, 3.0], [3.0, 0.1], [3.0, 2.0]])
    for distance in (Angular(0.1), Euclidean(0.2)):
        place = distance.place(np.array([3.0, 0.0]))
        assert place is not None
        assert distance.nearest(rows.copy(), place, distance.reach(2)) == 1


@pytest.mark.parametrize("radius", [0, -1, 0.6, math.nan, math.inf])
def test_an_angle_that_no_two_alike_inputs_have_is_refused(radius: float) -> None:
    with pytest.raises(InvalidInput, match="radians"):
        Angular(radius)


@pytest.mark.parametrize("radius", [0, -1, math.nan, math.inf])
def test_a_radius_that_is_no_distance_is_refused(radius: float) -> None:
    with pytest.raises(InvalidInput, match="above 0"):
        Euclidean(radius)
