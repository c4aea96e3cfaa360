"""The batch size limit: probes upwards with full batches only, and backs off when two are late."""

import math

import pytest

from clipper.abstraction.batching import Aimd, FixedSize

OBJECTIVE_S = 0.1
FAST_S, IN_DEAD_BAND_S, LATE_S = 0.05, 0.095, 0.15


@pytest.fixture
def aimd() -> Aimd:
    return Aimd(OBJECTIVE_S, start=10)


def test_it_starts_at_one() -> None:
    assert Aimd(OBJECTIVE_S).batch_size == 1


def test_a_full_batch_in_good_time_raises_the_limit_by_two(aimd: Aimd) -> None:
    aimd.observe(10, FAST_S)
    assert aimd.batch_size == 12


def test_a_batch_that_was_not_full_says_nothing_about_a_larger_limit(aimd: Aimd) -> None:
    aimd.observe(9, FAST_S)
    assert aimd.batch_size == 10


def test_just_below_the_objective_the_limit_holds(aimd: Aimd) -> None:
    aimd.observe(10, IN_DEAD_BAND_S)
    assert aimd.batch_size == 10


def test_a_full_batch_past_the_objective_lowers_the_limit_by_a_tenth(aimd: Aimd) -> None:
    aimd.observe(10, LATE_S)
    assert aimd.batch_size == 9


def test_exactly_the_objective_is_in_time(aimd: Aimd) -> None:
    aimd.observe(10, OBJECTIVE_S)
    assert aimd.batch_size == 10


def test_one_late_batch_that_was_not_full_is_a_hiccup(aimd: Aimd) -> None:
    aimd.observe(3, LATE_S)
    aimd.observe(3, FAST_S)
    aimd.observe(3, LATE_S)
    assert aimd.batch_size == 10


def test_two_late_batches_in_a_row_are_the_model(aimd: Aimd) -> None:
    aimd.observe(3, LATE_S)
    aimd.observe(3, LATE_S)
    assert aimd.batch_size == 9


def test_a_model_that_became_slow_brings_the_limit_down_to_one_without_full_batches() -> None:
    aimd = Aimd(OBJECTIVE_S, start=500)
    for _ in range(200):
        aimd.observe(1, LATE_S)
    assert aimd.batch_size == 1


def test_it_never_passes_its_maximum() -> None:
    aimd = Aimd(OBJECTIVE_S, start=9, maximum=10)
    for _ in range(3):
        aimd.observe(aimd.batch_size, FAST_S)
    assert aimd.batch_size == 10


def test_a_new_objective_applies_to_the_next_batch(aimd: Aimd) -> None:
    aimd.objective_s = FAST_S / 2
    aimd.observe(10, FAST_S)
    assert aimd.batch_size == 9


def test_it_settles_where_a_batch_takes_as_long_as_it_may() -> None:
    aimd, per_query_s = Aimd(OBJECTIVE_S), 0.001
    best = OBJECTIVE_S / per_query_s
    for _ in range(500):
        aimd.observe(aimd.batch_size, aimd.batch_size * per_query_s)
    assert 0.8 * best <= aimd.batch_size <= best + 2


def test_a_fixed_size_learns_nothing() -> None:
    fixed = FixedSize(8)
    fixed.observe(8, math.inf)
    fixed.observe(8, 0.0)
    assert fixed.batch_size == 8
