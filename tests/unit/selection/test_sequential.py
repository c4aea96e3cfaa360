"""Intervals that hold whenever one looks."""

from random import Random

import pytest

from clipper.selection.sequential import ALPHA, Interval, Sample, difference, half_width


def looked_at_always(chance: float, other: float, rounds: int, seed: int) -> bool:
    """Whether two streams of 0 and 1 ever seem to differ, looked at after each observation."""
    random = Random(seed)
    counts, totals = [0, 0], [0.0, 0.0]
    for number in range(rounds):
        which = number % 2
        hit = float(random.random() < (chance, other)[which])
        counts[which] += 1
        totals[which] += hit
        one, two = (Sample(counts[i], totals[i], totals[i]) for i in (0, 1))
        between = difference(one, two)
        if between.low > 0 or between.high < 0:
            return True
    return False


def test_who_looks_all_the_time_is_not_fooled_more_often_than_was_agreed() -> None:
    fooled = sum(looked_at_always(0.2, 0.2, 1500, seed) for seed in range(60))
    assert fooled <= 60 * 2 * ALPHA


def test_a_real_difference_is_found() -> None:
    assert all(looked_at_always(0.1, 0.4, 1500, seed) for seed in range(10))


def test_more_observations_narrow_the_interval() -> None:
    widths = [half_width(count, 0.25, 0.05) for count in (10, 100, 1000, 10_000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.03


def test_an_interval_is_about_means_from_0_to_1() -> None:
    assert Sample(0, 0, 0).interval() == Interval(0.0, 1.0)
    low, high = Sample(3, 0, 0).interval()
    assert low == 0.0
    assert 0 < high <= 1
    assert Sample(1000, 200, 200).mean == pytest.approx(0.2)


def test_of_nothing_no_difference_is_known() -> None:
    assert difference(Sample(0, 0, 0), Sample(5, 1, 1)) == Interval(-1.0, 1.0)
