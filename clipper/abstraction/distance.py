"""Distances between inputs, and which of some inputs is nearest, safe against rounding.

Each distance gives vectors a place, so that it can be read off as the length of a difference: the
Euclidean one leaves them where they are; for the angle they are divided by their length, and an
angle of `a` is then a length of `2 sin(a / 2)`. Unlike the cosine, that keeps all its digits where
angles are small.

A vector too long to be squared has no place; `np.vdot` alone says so without a warning.

Numbers of every input type are exact in float64, where all of this is computed. What rounding may
do to a length over n numbers, at most n + 8 units of the last place, is taken off the radius: an
input at the very edge may be missed, but none is taken that lies beyond it.
"""

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from clipper.core.errors import InvalidInput

Floats = npt.NDArray[np.float64]

UNIT = 2.0**-52
SMALLEST_SQUARE, LARGEST_SQUARE = 1e-280, 1e300
"""Between these, the square of a vector's length has all its digits."""
RESOLUTION = 1e12
"""A Euclidean radius is at least the vector's length divided by this; float64 resolves 1e16."""


class Distance(Protocol):
    """What "alike" means."""

    radius: float

    def place(self, vector: Floats) -> Floats | None:
        """Where a vector is compared; None where it cannot be, being too long or too short."""

    def reach(self, length: int) -> float:
        """How far apart the places of two vectors within the radius may be found to be."""

    def nearest(self, rows: Floats, place: Floats, reach: float) -> int | None:
        """Which row of float64[n, length] is nearest to a place, if it is in reach.

        The rows are used up; each of them has a place.
        """


class Angular:
    """The angle between two vectors in radians, 0 to pi; one without a direction has no place."""

    def __init__(self, radius: float) -> None:
        if not 1e-6 <= radius <= 0.5:
            raise InvalidInput(
                f"The radius is {radius}; as an angle it is in radians, from 0.000001 to 0.5."
            )
        self.radius = radius

    def place(self, vector: Floats) -> Floats | None:
        """A vector of length 1."""
        square = float(np.vdot(vector, vector))
        if not SMALLEST_SQUARE < square < LARGEST_SQUARE:
            return None
        return vector / math.sqrt(square)

    def reach(self, length: int) -> float:
        """The chord; the lengths of both vectors are rounded as well."""
        return 2 * math.sin(self.radius / 2) - (length + 8) * UNIT

    def nearest(self, rows: Floats, place: Floats, reach: float) -> int | None:
        """The best by its cosine, which is cheaper; whether that is near enough, by the chord."""
        cosines = rows.dot(place) / np.sqrt(np.vecdot(rows, rows))
        best = int(cosines.argmax())
        row = rows[best]
        row /= math.sqrt(row.dot(row))
        row -= place
        return best if row.dot(row) <= reach * reach else None


class Euclidean:
    """The length of the difference of two vectors."""

    def __init__(self, radius: float) -> None:
        if not 1e-100 <= radius <= 1e100:
            raise InvalidInput(f"The radius is {radius}; it has to be a number above 0.")
        self.radius = radius
        self._largest_square = (radius * RESOLUTION) ** 2

    def place(self, vector: Floats) -> Floats | None:
        """The vector itself."""
        return vector if np.vdot(vector, vector) <= self._largest_square else None

    def reach(self, length: int) -> float:
        """The radius."""
        return self.radius * (1 - (length + 8) * UNIT)

    def nearest(self, rows: Floats, place: Floats, reach: float) -> int | None:
        """By the squares of the differences."""
        rows -= place
        squares = np.vecdot(rows, rows)
        best = int(squares.argmin())
        return best if squares[best] <= reach * reach else None
