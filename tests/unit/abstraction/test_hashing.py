"""Hash functions: near vectors share parts of their codes as often as theory says."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from clipper.abstraction.distance import Floats
from clipper.abstraction.hashing import FLIPS, LINES, MAX_PLANES, Hash, Hyperplanes, Projections

PAIRS = 2000
RADIUS = 0.1
WIDTH = RADIUS * math.sqrt(2 / math.pi) * LINES / FLIPS


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def directions(rng: np.random.Generator, count: int, length: int) -> Floats:
    vectors = rng.standard_normal((count, length))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def at_angle(rng: np.random.Generator, vectors: Floats, angle: float) -> Floats:
    """Unit vectors at an angle to the given ones, in random directions."""
    aside = directions(rng, *vectors.shape)
    aside -= (aside * vectors).sum(axis=1, keepdims=True) * vectors
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return math.cos(angle) * vectors + math.sin(angle) * aside


def shared(width: float, distance: float) -> float:
    """The probability that a cell is shared (Datar et al. 2004)."""
    u = width / distance
    tail = 2 * NormalDist().cdf(-u)
    return 1 - tail - 2 / (math.sqrt(2 * math.pi) * u) * (1 - math.exp(-u * u / 2))


@pytest.mark.parametrize("length", [8, 64])
@pytest.mark.parametrize("angle", [0.05, 0.1, 0.5, 1.5])
def test_bits_differ_with_the_angles_share_of_half_a_turn(
    rng: np.random.Generator, length: int, angle: float
) -> None:
    planes = int(FLIPS * math.pi / RADIUS)
    differing = 0
    for _ in range(20):
        hyperplanes = Hyperplanes(RADIUS, length, rng)
        ones = directions(rng, PAIRS // 20, length)
        for one, other in zip(ones, at_angle(rng, ones, angle), strict=True):
            differing += (hyperplanes.code(one) ^ hyperplanes.code(other)).bit_count()
    assert differing / (PAIRS * planes) == pytest.approx(angle / math.pi, rel=0.1)


@pytest.mark.parametrize("length", [8, 64])
@pytest.mark.parametrize("radii", [0.5, 1, 3, 10])
def test_cells_are_shared_as_often_as_the_formula_says(
    rng: np.random.Generator, length: int, radii: float
) -> None:
    same = 0
    for _ in range(20):
        projections = Projections(RADIUS, length, rng)
        for step in directions(rng, PAIRS // 20, length):
            one = rng.standard_normal(length)
            codes = projections.code(one) ^ projections.code(one + radii * RADIUS * step)
            same += codes.to_bytes(LINES).count(0)
    assert same / (PAIRS * LINES) == pytest.approx(shared(WIDTH, radii * RADIUS), abs=0.03)


def test_wide_cells_are_shared_as_the_short_formula_says() -> None:
    for u in (3, 5, 7, 20):
        assert shared(u, 1) == pytest.approx(1 - math.sqrt(2 / math.pi) / u, abs=0.001)


@pytest.mark.parametrize("radius", [0.03, 0.1, 0.3, 0.5])
def test_planes_find_nine_in_ten_at_the_radius(rng: np.random.Generator, radius: float) -> None:
    found = 0
    for _ in range(20):
        hyperplanes = Hyperplanes(radius, 64, rng)
        ones = directions(rng, PAIRS // 20, 64)
        for one, other in zip(ones, at_angle(rng, ones, radius), strict=True):
            found += hyperplanes.code(one) in hyperplanes.probes(other)
    assert found / PAIRS > 0.89


def test_lines_find_nine_in_ten_at_the_radius(rng: np.random.Generator) -> None:
    found = 0
    for _ in range(20):
        projections = Projections(RADIUS, 64, rng)
        for step in directions(rng, PAIRS // 20, 64):
            one = rng.standard_normal(64)
            found += projections.code(one) in projections.probes(one + RADIUS * step)
    assert found / PAIRS > 0.89


@pytest.mark.parametrize("family", [Hyperplanes, Projections])
@pytest.mark.parametrize("length", [1, 8, 200])
def test_probes_are_32_codes_beginning_with_the_own(
    rng: np.random.Generator, family: type[Hyperplanes | Projections], length: int
) -> None:
    hash: Hash = family(RADIUS, length, rng)
    for vector in 5 * directions(rng, 50, length):
        probes = hash.probes(vector)
        assert probes[0] == hash.code(vector)
        assert len(set(probes)) == len(probes) == 32


def test_cells_of_far_away_vectors_have_codes_too(rng: np.random.Generator) -> None:
    projections = Projections(1e-3, 2, rng)
    for vector in (np.array([1e8, -1e8]), np.array([-1e8, 0.5])):
        assert 0 <= projections.code(vector) < 2**64
        assert projections.code(vector) in projections.probes(vector)


def test_tiny_angles_and_long_vectors_get_a_bounded_number_of_planes() -> None:
    rng = np.random.default_rng(7)
    assert Hyperplanes(1e-6, 8, rng).code(-np.ones(8)) < 2**MAX_PLANES
    assert Hyperplanes(0.1, 2**16, rng).code(np.ones(2**16)) < 2**16


def test_the_same_seed_makes_the_same_codes() -> None:
    vector = np.arange(8.0)
    for family in (Hyperplanes, Projections):
        one, other = (family(RADIUS, 8, np.random.default_rng(3)) for _ in range(2))
        assert one.probes(vector) == other.probes(vector)
