"""Metrics: plain numbers, quantiles from buckets, and Prometheus families when asked."""

import math

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from clipper.core.metrics import (
    APPLICATION_OUTCOMES,
    BATCH_BOUNDS,
    LATENCY_BOUNDS_S,
    ApplicationStats,
    Histogram,
    Metrics,
    Rates,
)
from clipper.core.types import ModelId

MODEL = ModelId("m", "1")


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(generate_latest(metrics.registry).decode())
        for sample in family.samples
    }


def test_a_value_falls_into_the_first_bucket_that_is_not_below_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.cumulative() == [("1.0", 2.0), ("2.0", 4.0), ("+Inf", 5.0)]
    assert (histogram.count, histogram.total) == (5, 14.0)


def test_a_value_may_be_counted_several_times() -> None:
    histogram = Histogram((1.0,))
    histogram.observe(0.5, times=4)
    assert (histogram.count, histogram.total) == (4, 2.0)


def test_an_empty_histogram_has_quantiles_of_zero() -> None:
    for q in (0.0, 0.5, 0.99, 1.0):
        assert Histogram().quantile(q) == 0.0


def test_quantiles_are_interpolated_within_their_bucket() -> None:
    histogram = Histogram((1.0, 2.0, 4.0))
    histogram.observe(0.5, times=50)
    histogram.observe(3.0, times=50)
    assert histogram.quantile(0.25) == pytest.approx(0.5)
    assert histogram.quantile(0.5) == pytest.approx(1.0)
    assert histogram.quantile(0.75) == pytest.approx(3.0)
    assert histogram.quantile(1.0) == pytest.approx(4.0)


def test_beyond_the_last_bound_a_quantile_is_that_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(1000.0)
    assert histogram.quantile(0.99) == 2.0


def test_quantiles_never_fall_as_q_rises() -> None:
    histogram = Histogram()
    for index in range(1000):
        histogram.observe((index * 37 % 1000) / 500)
    quantiles = [histogram.quantile(q / 1000) for q in range(1001)]
    assert quantiles == sorted(quantiles)


@pytest.mark.parametrize("bounds", [LATENCY_BOUNDS_S, BATCH_BOUNDS])
def test_bounds_rise(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))


def test_a_steady_rate_is_approached_by_every_window() -> None:
    rates, count = Rates(), 0
    for _ in range(7200):
        count += 5
        rates.update(count, 0.5)
    assert rates.by_window == pytest.approx([10.0, 10.0, 10.0], rel=0.02)


def test_the_short_window_follows_first_and_forgets_first() -> None:
    rates = Rates()
    rates.update(600, 60.0)
    one, five, fifteen = rates.by_window
    assert one == pytest.approx(10 * (1 - math.exp(-1)))
    assert one > five > fifteen > 0
    rates.update(600, 3600.0)
    one, five, fifteen = rates.by_window
    assert one < five < fifteen < 0.1


def test_each_query_is_counted_once_by_outcome() -> None:
    stats = ApplicationStats(answered=3, rejected=7, cancelled=9)
    for outcome in ("no_model", "late", "late", "model_failed", "overloaded", "low_confidence"):
        stats.count(outcome)
    assert (stats.defaults, stats.predictions) == (6, 9)
    assert sum(getattr(stats, outcome) for outcome in APPLICATION_OUTCOMES) == 25


def test_numbers_are_made_on_first_use_and_kept() -> None:
    metrics = Metrics()
    assert metrics.application("a") is metrics.application("a")
    assert metrics.model(MODEL) is metrics.model(MODEL)


def test_two_sets_of_metrics_do_not_know_each_other() -> None:
    one, other = Metrics(), Metrics()
    one.application("a").answered = 1
    assert other.applications == {}


def test_everything_counted_is_in_the_exposition() -> None:
    metrics = Metrics()
    metrics.application("a").answered = 3
    metrics.application("a").latency.observe(0.004)
    stats = metrics.model(MODEL)
    stats.predictions, stats.queue_depth = 5, 2
    stats.limits = {0: 4, 1: 8}
    stats.states = {0: "ready", 1: "ready", 2: "backing_off"}
    metrics.cache.bytes, metrics.cache.evictions, metrics.degraded = 100, 6, True

    found = samples(metrics)
    model = (("model", "m"), ("version", "1"))
    assert found["clipper_queries_total", (("app", "a"), ("outcome", "answered"))] == 3
    assert found["clipper_query_latency_seconds_bucket", (("app", "a"), ("le", "0.005"))] == 1
    assert found["clipper_query_latency_seconds_count", (("app", "a"),)] == 1
    assert found["clipper_model_predictions_total", model] == 5
    assert found["clipper_model_queue_depth", model] == 2
    assert found["clipper_model_batch_size_limit", model] == 6
    by_state = {"ready": 2, "backing_off": 1, "starting": 0, "stopping": 0}
    for state, count in by_state.items():
        assert found["clipper_model_replicas", (model[0], ("state", state), model[1])] == count
    assert found["clipper_cache_bytes", ()] == 100
    assert found["clipper_cache_evictions_total", ()] == 6
    assert found["clipper_store_degraded", ()] == 1


def test_the_exposition_is_strictly_valid_openmetrics() -> None:
    metrics = Metrics()
    metrics.application("a").latency.observe(0.004)
    metrics.model(MODEL).batch_size.observe(17)
    text = generate_openmetrics(metrics.registry).decode()  # type: ignore[no-untyped-call]
    families = {family.name for family in parse_open(text)}  # type: ignore[no-untyped-call]
    assert {"clipper_queries", "clipper_model_batch_size", "clipper_cache_evictions"} <= families


def test_what_was_deleted_is_no_longer_exposed() -> None:
    metrics = Metrics()
    metrics.application("a").answered = 1
    metrics.model(MODEL).predictions = 1
    metrics.forget_application("a")
    metrics.forget_model(MODEL)
    metrics.forget_application("never there")
    metrics.forget_model(ModelId("never", "there"))
    text = generate_latest(metrics.registry).decode()
    assert 'app="a"' not in text
    assert 'model="m"' not in text


def test_rates_are_brought_up_to_date_together() -> None:
    metrics = Metrics()
    metrics.application("a").answered = 60
    metrics.model(MODEL).predictions = 120
    metrics.update_rates(60.0)
    assert metrics.application("a").rates.by_window[0] == pytest.approx(1 - math.exp(-1))
    assert metrics.model(MODEL).rates.by_window[0] == pytest.approx(2 * (1 - math.exp(-1)))
