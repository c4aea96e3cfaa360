"""What is called growth, and what of it is allowed."""

import pytest
from costs.growth import Growth

SIZES = (1, 10, 100, 1000)


def growth(costs: list[float], *, is_lookup: bool) -> Growth:
    return Growth("things", "query", is_lookup, dict(zip(SIZES, costs, strict=True)))


def test_a_cost_that_is_always_the_same_is_flat() -> None:
    one = growth([20, 20, 20, 20], is_lookup=True)
    assert one.exponent == pytest.approx(0)
    assert (one.verdict, one.is_allowed) == ("flat", True)


def test_a_cost_in_proportion_is_allowed_and_a_lookup_like_that_is_not() -> None:
    costs = [2.0 * size for size in SIZES]
    assert growth(costs, is_lookup=False).exponent == pytest.approx(1)
    assert growth(costs, is_lookup=False).is_allowed
    assert not growth(costs, is_lookup=True).is_allowed


def test_a_scan_is_noticed_beside_a_fixed_cost() -> None:
    scanned = growth([20 + 0.02 * size for size in SIZES], is_lookup=True)
    assert (scanned.verdict, scanned.is_allowed) == ("grows", False)


def test_a_square_is_noticed_beside_a_fixed_cost() -> None:
    squared = growth([20 + 0.01 * size**2 for size in SIZES], is_lookup=False)
    assert (squared.verdict, squared.is_allowed) == ("grows faster than linearly", False)


def test_a_cost_that_shrinks_is_flat() -> None:
    assert growth([100, 30, 22, 21], is_lookup=True).verdict == "flat"


def test_a_cost_that_grows_after_it_shrank_is_noticed() -> None:
    assert growth([50, 20, 30, 45], is_lookup=True).verdict == "grows"
