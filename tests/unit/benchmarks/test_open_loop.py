"""Schedules of arrivals, and what is said about their outcomes."""

import numpy as np
import pytest
from open_loop import gamma, poisson
from outcomes import Outcomes


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize("cv", [0.3, 1.0, 4.0])
def test_arrivals_come_at_their_rate_with_their_variation(
    cv: float, rng: np.random.Generator
) -> None:
    instants = gamma(2000, 100, cv, rng)
    gaps = np.diff(instants)
    assert len(instants) == pytest.approx(200_000, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)
    assert (gaps >= 0).all()
    assert instants[-1] < 100


def test_poisson_arrivals_know_nothing_of_one_another(rng: np.random.Generator) -> None:
    counts, _ = np.histogram(poisson(50, 2000, rng), bins=2000)
    assert counts.mean() == pytest.approx(50, rel=0.02)
    assert counts.var() == pytest.approx(50, rel=0.1)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    first, second = (poisson(100, 2, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)


def outcomes(lag_s: float = 0.0) -> Outcomes:
    """In time, late, a default, refused twice, a failure, and no answer at all."""
    return Outcomes(
        at_s=np.linspace(0, 7, 8)[1:],
        which=np.array([0, 0, 0, 0, 1, 1, 1], np.uint8),
        latency_s=np.array([0.01, 0.03, 0.02, 0.001, 0.001, 0.5, np.nan]),
        status=np.array([200, 200, 200, 429, 503, 500, 0], np.int16),
        by_model=np.array([True, True, False, False, False, False, False]),
        lag_s=np.full(7, lag_s),
        cpu_s=7e-4,
        started_s=0.0,
    )


def test_every_request_is_counted_once() -> None:
    summary = outcomes().summary(slo_s=0.02)
    assert (summary.in_time, summary.late, summary.defaults) == (1, 1, 1)
    assert (summary.refused, summary.errors, summary.offered) == (2, 2, 7)
    assert summary.goodput_share == pytest.approx(1 / 7)
    assert summary.offered_per_s == pytest.approx(1.0)
    assert summary.cost_us == pytest.approx(100)


def test_latencies_are_those_of_answers_and_not_of_refusals() -> None:
    summary = outcomes().summary(slo_s=0.02)
    assert summary.p50_ms == pytest.approx(20)
    assert summary.p999_ms == pytest.approx(30, rel=0.01)


def test_each_target_has_a_summary_of_its_own() -> None:
    first, second = (outcomes().summary(0.02, target) for target in (0, 1))
    assert (first.offered, second.offered) == (4, 3)
    assert (first.in_time, second.in_time) == (1, 0)
    assert (first.refused, second.refused) == (1, 1)
    assert second.p50_ms is None


def test_a_generator_that_was_late_itself_says_so() -> None:
    assert outcomes(lag_s=0.004).summary(0.02).is_reliable
    assert not outcomes(lag_s=0.006).summary(0.02).is_reliable
