"""Locality-sensitive hashing: codes that near vectors tend to share, and the codes next best.

A code has several parts; two families say what a part is and how likely two vectors agree in it.

* Hyperplanes (Charikar 2002, "Similarity Estimation Techniques from Rounding Algorithms", "Random
  Hyperplane Based Hash Functions for Vectors"): a bit says on which side of a random plane through
  the origin a vector lies. Two vectors differ in it with probability `angle / pi`.
* Projections (Datar, Immorlica, Indyk and Mirrokni 2004, "Locality-Sensitive Hashing Scheme Based
  on p-Stable Distributions", "Our LSH Scheme"): a random line is cut into cells of one width, and
  a vector falls into one. With `u = width / distance` and F the normal distribution function, two
  vectors share it with probability `1 - 2 F(-u) - 2 / (sqrt(2 pi) u) (1 - exp(-u^2 / 2))`; from
  u = 3 on that is, within a thousandth, `1 - sqrt(2 / pi) / u`.

Both are scaled to the radius: so many planes, or so wide cells, that two vectors at the radius
differ in FLIPS parts on average. Their own codes are equal for one pair in three, so 32 codes are
looked up instead of one, but in one table instead of many (Lv, Josephson, Wang, Charikar and Li
2007, "Multi-Probe LSH", "Query-Directed Probing Sequence"): the PROBED parts in which the query
lies closest to a border are tried on both sides of it. What differs in another part is missed.

At an angle of 0.1 that makes 34 planes, which find 92 of 100 vectors at the radius and take 26 of
100 at three times the radius for candidates, 3.5 at five times, 0.4 at seven. Six tables of 34
planes, each asked for one code, find 91 and take 18, 1.7 and 0.1, for six times the work and the
memory. Neither the dimension makes a difference nor, on average, where the inputs lie; but for
all-positive ones, a narrow cone around one direction, the draw of the planes makes more of it.
Inputs that are only a few radii apart cannot be told apart cheaply by any such hash.
"""

import math
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from clipper.abstraction.distance import Floats

FLIPS = 1.1
"""In how many parts the codes of two vectors at the radius differ on average."""
PROBED = 5
"""Parts that are tried on both sides of their border."""
MAX_PLANES = 128
LINES = 8
"""Parts of a code of projections, of a byte each."""
MAX_NORMALS = 2**20
"""Numbers in the matrix of all planes: 8 MiB. The longest vectors get no more than 32 planes."""
MAX_BLOCK = 2**18
"""Numbers in a matrix whose product with a vector the BLAS library leaves to one thread."""


class Hash(Protocol):
    """One hash function of vectors of one length."""

    def code(self, vector: Floats) -> int:
        """The vector's own code."""

    def probes(self, vector: Floats) -> list[int]:
        """The codes that vectors near it are likely to have, its own first."""


class Hyperplanes:
    """A bit for each plane."""

    def __init__(self, radius: float, length: int, rng: np.random.Generator) -> None:
        """`radius` is an angle in radians."""
        planes = max(1, min(int(FLIPS * math.pi / radius), MAX_PLANES, MAX_NORMALS // length))
        self._normals = _blocks(rng.standard_normal((planes, length)))
        top = 8 * math.ceil(planes / 8) - 1  # np.packbits fills bytes from the highest bit
        self._bits = [1 << top - plane for plane in range(planes)]

    def code(self, vector: Floats) -> int:
        """The sides of all planes."""
        return _pack(_product(self._normals, vector))

    def probes(self, vector: Floats) -> list[int]:
        """Either side of the nearest planes."""
        heights = _product(self._normals, vector)
        nearest = np.abs(heights).argsort()[:PROBED].tolist()
        return _combine(_pack(heights), [self._bits[plane] for plane in nearest])


def _pack(heights: Floats) -> int:
    return int.from_bytes(np.packbits(np.signbit(heights)).tobytes())


class Projections:
    """A byte for each line: the lowest of the number of its cell."""

    def __init__(self, radius: float, length: int, rng: np.random.Generator) -> None:
        """`radius` is a Euclidean distance."""
        width = radius * math.sqrt(2 / math.pi) * LINES / FLIPS
        self._lines = _blocks(rng.standard_normal((LINES, length)) / width)
        self._offsets = rng.random(LINES)

    def code(self, vector: Floats) -> int:
        """The cells on all lines."""
        points = _product(self._lines, vector) + self._offsets
        return int.from_bytes((math.floor(point) & 0xFF for point in points.tolist()), "little")

    def probes(self, vector: Floats) -> list[int]:
        """The own cells, and the neighbours across the nearest borders."""
        points = _product(self._lines, vector) + self._offsets
        code, flips = 0, []
        for line, point in enumerate(points.tolist()):
            cell = math.floor(point)
            above = point - cell
            if above < 0.5:
                far, neighbour = above, cell - 1
            else:
                far, neighbour = 1 - above, cell + 1
            code |= (cell & 0xFF) << 8 * line
            flips.append((far, ((cell ^ neighbour) & 0xFF) << 8 * line))
        flips.sort()
        return _combine(code, [flip for _, flip in flips[:PROBED]])


def _combine(code: int, flips: Iterable[int]) -> list[int]:
    """The code with every subset of the flips."""
    codes = [code]
    for flip in flips:
        codes += [other ^ flip for other in codes]
    return codes


def _blocks(matrix: Floats) -> list[Floats]:
    """A matrix in parts: threads of the BLAS library would wait for each other, and spin."""
    return np.array_split(matrix, math.ceil(matrix.size / MAX_BLOCK))


def _product(blocks: list[Floats], vector: Floats) -> Floats:
    products: list[Floats] = [block.dot(vector) for block in blocks]
    return products[0] if len(products) == 1 else np.concatenate(products)
