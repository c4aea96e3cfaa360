"""The batch size limit: probes upwards with full batches only, and backs off when two are late."""

import math
from dataclasses import replace
from typing import Any

import pytest

from clipper.abstraction.batching import (
    SEED_SHARE,
    Aimd,
    FixedSize,
    Quantile,
    make_control,
    seed,
)
from clipper.abstraction.latency import LatencyEstimate, Profile
from clipper.abstraction.quantiles import NEEDED, REFIT_EVERY
from clipper.core.types import InputType, Model, ModelId

OBJECTIVE_S = 0.1
VERY_FAST_S, FAST_S, IN_DEAD_BAND_S, LATE_S = 0.049, 0.05, 0.095, 0.15
MODEL = Model(ModelId("m", "1"), InputType.STRINGS)


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


def test_a_large_limit_grows_by_a_tenth() -> None:
    aimd = Aimd(OBJECTIVE_S, start=500)
    aimd.observe(500, FAST_S)
    assert aimd.batch_size == 550


def test_a_full_batch_in_less_than_half_the_time_doubles_the_limit(aimd: Aimd) -> None:
    aimd.observe(10, VERY_FAST_S)
    assert aimd.batch_size == 20


def test_where_a_fast_model_can_take_hundreds_it_is_there_within_a_few_batches() -> None:
    aimd = Aimd(OBJECTIVE_S)
    for _ in range(15):
        aimd.observe(aimd.batch_size, 0.01 + 0.0001 * aimd.batch_size)
    assert aimd.batch_size > 500


def test_it_says_why_the_limit_is_what_it_is(aimd: Aimd) -> None:
    assert aimd.explain() == "no full batch yet; the objective is 100.0 ms"
    aimd.observe(10, LATE_S)
    assert aimd.explain() == (
        "lowered after a batch of 10 took 150.0 ms; the objective is 100.0 ms"
    )
    aimd.observe(9, FAST_S)
    assert aimd.explain().startswith("raised after a batch of 9 took 50.0 ms")
    aimd.observe(aimd.batch_size, IN_DEAD_BAND_S)
    assert aimd.explain().startswith("held after a batch of 11 took 95.0 ms")


def test_it_settles_where_a_batch_takes_as_long_as_it_may() -> None:
    aimd, per_query_s = Aimd(OBJECTIVE_S), 0.001
    best = OBJECTIVE_S / per_query_s
    for _ in range(500):
        aimd.observe(aimd.batch_size, aimd.batch_size * per_query_s)
    assert 0.8 * best <= aimd.batch_size <= best + 2


def full_batches(control: Aimd | Quantile, count: int, per_item_s: float = 0.001) -> None:
    """Batches of every size up to the limit, in 10 ms and a time for each query."""
    for number in range(count):
        size = 1 + number * 7 % control.batch_size
        control.observe(size, 0.01 + per_item_s * size)
        control.observe(control.batch_size, 0.01 + per_item_s * control.batch_size)


def test_quantile_regression_finds_the_size_at_which_the_line_meets_the_objective() -> None:
    quantile = Quantile(OBJECTIVE_S)
    assert quantile.explain() == f"exploring, 0 of {NEEDED} batches seen"
    full_batches(quantile, NEEDED)
    assert quantile.batch_size == pytest.approx(90, abs=3)
    assert quantile.explain().startswith("99 % of batches take at most 10.0")


def test_quantile_regression_keeps_the_slowest_in_a_hundred_in_time() -> None:
    quantile = Quantile(OBJECTIVE_S)
    for number in range(2 * NEEDED):
        size = 1 + number * 7 % 60
        hiccup_s = 0.02 if number % 50 == 0 else 0.0
        quantile.observe(size, 0.01 + 0.001 * size + hiccup_s)
    assert quantile.batch_size == pytest.approx(70, abs=3)


def test_a_new_objective_moves_the_fitted_limit_at_once() -> None:
    quantile = Quantile(OBJECTIVE_S)
    full_batches(quantile, NEEDED)
    quantile.objective_s = OBJECTIVE_S / 2
    assert quantile.batch_size == pytest.approx(40, abs=3)
    quantile.objective_s = 0.001
    assert quantile.batch_size == 1


def test_the_fit_follows_a_model_that_becomes_slower() -> None:
    quantile = Quantile(OBJECTIVE_S)
    full_batches(quantile, NEEDED)
    full_batches(quantile, 500 + REFIT_EVERY, per_item_s=0.003)
    assert quantile.batch_size == pytest.approx(30, abs=3)


def test_a_fit_of_small_batches_says_little_about_large_ones() -> None:
    quantile = Quantile(OBJECTIVE_S)
    for number in range(NEEDED):
        quantile.observe(1 + number % 5, 0.001)
    assert quantile.batch_size == 10, "twice the largest that was seen"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Aimd),
        ({"controller": "quantile"}, Quantile),
        ({"batch_size": 8}, FixedSize),
        ({"batch_size": 8, "controller": "quantile"}, FixedSize),
    ],
)
def test_a_model_has_the_controller_that_it_asks_for(fields: Any, expected: type) -> None:
    control = make_control(replace(MODEL, **fields), OBJECTIVE_S, LatencyEstimate())
    assert type(control) is expected
    assert control.objective_s == OBJECTIVE_S


def test_a_limit_begins_near_what_an_earlier_life_could_do() -> None:
    estimate = LatencyEstimate(Profile(0.01, 0.001, p90=1.0, p99=1.0, largest=80))
    assert seed(estimate, OBJECTIVE_S) == pytest.approx(SEED_SHARE * 90)
    assert make_control(MODEL, OBJECTIVE_S, estimate).batch_size == 81


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (None, 1.0),
        (Profile(0.2, 0.001, 1.0, 1.0, 80), 1.0),
        (Profile(0.01, 0.001, 1.0, 2.0, 80), SEED_SHARE * 40),
        (Profile(0.01, 0.001, 1.0, 1.0, 5), SEED_SHARE * 10),
        (Profile(0.01, 0.0, 1.0, 1.0, 20), SEED_SHARE * 40),
    ],
)
def test_a_limit_begins_no_higher_than_is_known_to_be_safe(
    profile: Profile | None, expected: float
) -> None:
    assert seed(LatencyEstimate(profile), OBJECTIVE_S) == pytest.approx(expected)


def test_a_fixed_size_learns_nothing() -> None:
    fixed = FixedSize(8)
    fixed.observe(8, math.inf)
    fixed.observe(8, 0.0)
    assert fixed.batch_size == 8
    assert "owner" in fixed.explain()
