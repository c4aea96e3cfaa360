"""The latency estimate: a line and its tails, learned from few batches, shaken by no single one."""

import numpy as np
import pytest

from clipper.abstraction.latency import STRANGE_MAX, TAIL_MAX, LatencyEstimate, Profile

FIXED_S, PER_ITEM_S = 0.005, 0.0001


def batch_s(size: int) -> float:
    return FIXED_S + PER_ITEM_S * size


@pytest.fixture
def estimate() -> LatencyEstimate:
    """One that has seen batches of many sizes, all exactly on the line."""
    estimate = LatencyEstimate()
    for number in range(200):
        estimate.observe(1 + number % 50, batch_s(1 + number % 50))
    return estimate


def test_nothing_is_predicted_before_the_first_batch() -> None:
    estimate = LatencyEstimate()
    assert (estimate.samples, estimate.mean_s(10), estimate.p99_s(10)) == (0, 0.0, 0.0)


def test_the_first_batch_is_taken_for_what_every_batch_takes() -> None:
    estimate = LatencyEstimate()
    estimate.observe(10, 0.02)
    assert estimate.mean_s(10) == estimate.mean_s(1) == pytest.approx(0.02)


def test_the_line_is_found(estimate: LatencyEstimate) -> None:
    for size in (1, 20, 500):
        assert estimate.mean_s(size) == pytest.approx(batch_s(size), rel=0.01)


def test_without_noise_there_is_no_tail(estimate: LatencyEstimate) -> None:
    assert estimate.p90_s(20) == pytest.approx(estimate.p99_s(20)) == pytest.approx(batch_s(20))


def test_the_tails_are_those_of_the_noise() -> None:
    estimate, rng = LatencyEstimate(), np.random.default_rng(1)
    for _ in range(2000):
        size = int(rng.integers(1, 100))
        estimate.observe(size, batch_s(size) * float(np.exp(rng.normal(0, 0.1))))
    assert estimate.p90 == pytest.approx(np.exp(0.128), rel=0.05)
    assert estimate.p99 == pytest.approx(np.exp(0.23), rel=0.1)


def test_it_follows_a_model_that_becomes_slower(estimate: LatencyEstimate) -> None:
    for number in range(100):
        estimate.observe(1 + number % 50, 1.5 * batch_s(1 + number % 50))
    assert estimate.mean_s(30) == pytest.approx(1.5 * batch_s(30), rel=0.1)


def test_one_wild_batch_moves_little(estimate: LatencyEstimate) -> None:
    estimate.observe(20, 100 * batch_s(20))
    assert estimate.mean_s(20) < 1.1 * batch_s(20)


def test_three_wild_batches_in_a_row_are_a_new_truth(estimate: LatencyEstimate) -> None:
    for _ in range(STRANGE_MAX):
        estimate.observe(20, 10 * batch_s(20))
    assert estimate.mean_s(20) == pytest.approx(10 * batch_s(20), rel=0.01)
    assert estimate.mean_s(40) == pytest.approx(10 * batch_s(40), rel=0.05), "the shape is kept"
    for _ in range(STRANGE_MAX):
        estimate.observe(20, batch_s(20))
    assert estimate.mean_s(20) == pytest.approx(batch_s(20), rel=0.01)


def test_it_is_doubted_from_a_wild_batch_on_until_the_next_ones_have_decided(
    estimate: LatencyEstimate,
) -> None:
    assert not estimate.is_doubted
    estimate.observe(10, 10 * batch_s(10))
    assert estimate.is_doubted
    estimate.observe(10, batch_s(10))
    assert not estimate.is_doubted
    for _ in range(3):
        estimate.observe(10, 10 * batch_s(10))
    assert not estimate.is_doubted


def test_a_wild_batch_now_and_then_is_none_of_three_in_a_row(estimate: LatencyEstimate) -> None:
    for _ in range(10):
        for latency_s in (10 * batch_s(20), batch_s(20)):
            estimate.observe(20, latency_s)
    assert estimate.mean_s(20) < 2 * batch_s(20)


def test_batches_of_one_size_do_not_unlearn_the_slope(estimate: LatencyEstimate) -> None:
    for _ in range(1000):
        estimate.observe(25, batch_s(25))
    assert estimate.per_item_s == pytest.approx(PER_ITEM_S, rel=0.01)


@pytest.mark.parametrize("latencies_s", [[0.02, 0.01], [0.01, 0.03, 0.001] * 20, [1e-9, 5.0] * 9])
def test_no_coefficient_is_ever_negative(latencies_s: list[float]) -> None:
    estimate = LatencyEstimate()
    for number, latency_s in enumerate(latencies_s):
        estimate.observe(1 + 10 * (number % 4), latency_s)
        assert estimate.fixed_s >= 0
        assert estimate.per_item_s >= 0
        assert 1 <= estimate.p90 <= TAIL_MAX
        assert 1 <= estimate.p99 <= TAIL_MAX


def test_an_instant_batch_predicts_nothing_and_breaks_nothing() -> None:
    estimate = LatencyEstimate()
    estimate.observe(1, 0.0)
    estimate.observe(5, 0.01)
    assert estimate.mean_s(5) == pytest.approx(0.01)


def test_what_an_earlier_life_knew_is_known_at_once(estimate: LatencyEstimate) -> None:
    heir = LatencyEstimate(estimate.profile)
    assert heir.samples == 1
    assert heir.mean_s(30) == pytest.approx(estimate.mean_s(30))
    assert heir.largest == 50


def test_what_an_earlier_life_knew_wrongly_is_soon_forgotten() -> None:
    heir = LatencyEstimate(Profile(1.0, 0.1, 1.0, 1.5, 10))
    for _ in range(STRANGE_MAX):
        heir.observe(10, 0.02)
    assert heir.mean_s(10) == pytest.approx(0.02)
