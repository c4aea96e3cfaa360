"""Metrics for clients of the old release: by category, every leaf a string."""

from typing import Any

import pytest

from clipper.core.metrics import Metrics
from clipper.core.types import ModelId
from clipper.frontend.old_metrics import old_metrics

MODEL = ModelId("m", "1")


def category(metrics: Metrics, name: str, uptime_s: float = 10.0) -> dict[str, Any]:
    """One category, by the names in it."""
    entries = old_metrics(metrics, uptime_s)[name]
    assert all(len(entry) == 1 for entry in entries)
    return {key: value for entry in entries for key, value in entry.items()}


def used() -> Metrics:
    metrics = Metrics()
    app = metrics.application("a")
    app.answered, app.no_model, app.late, app.rejected, app.cancelled = 6, 1, 1, 5, 7
    for latency_s in (0.004, 0.004, 0.004, 0.2):
        app.latency.observe(latency_s)
    model = metrics.model(MODEL)
    model.predictions, model.cache_hits, model.cache_misses, model.joined = 5, 2, 5, 1
    model.batch_size.observe(5)
    metrics.cache.entries, metrics.cache.bytes, metrics.cache.evictions = 4, 1700, 1
    return metrics


def test_without_applications_there_are_the_internal_ones_only() -> None:
    metrics = Metrics()
    assert category(metrics, "counters") == {
        "internal:prediction_cache_entries": {"count": "0"},
        "internal:prediction_cache_bytes": {"count": "0"},
        "internal:prediction_cache_evictions": {"count": "0"},
    }
    ratios = category(metrics, "ratio_counters")
    assert ratios == {"internal:prediction_cache_hit_ratio": {"ratio": "0.0"}}
    assert category(metrics, "meters") == category(metrics, "histograms") == {}


def test_counters_count_what_was_answered() -> None:
    counters = category(used(), "counters")
    assert counters["app:a:num_predictions"] == {"count": "8"}
    assert counters["model:m:1:num_predictions"] == {"count": "5"}
    assert counters["internal:prediction_cache_bytes"] == {"count": "1700"}


def test_ratios_are_shares() -> None:
    ratios = category(used(), "ratio_counters")
    assert ratios["app:a:default_prediction_ratio"] == {"ratio": "0.25"}
    assert ratios["model:m:1:cache_hit_ratio"] == {"ratio": "0.25"}


def test_meters_are_events_a_second() -> None:
    metrics = used()
    metrics.update_rates(60.0)
    meter = category(metrics, "meters", uptime_s=16.0)["app:a:prediction_throughput"]
    assert (meter["unit"], meter["rate"]) == ("events per second", "0.5")
    assert 0 < float(meter["rate_15min"]) < float(meter["rate_5min"]) < float(meter["rate_1min"])


def test_a_daemon_that_has_just_begun_has_no_rate_yet() -> None:
    meter = category(used(), "meters", uptime_s=0.0)["app:a:prediction_throughput"]
    assert meter["rate"] == "0.0"


def test_latencies_are_in_microseconds_and_as_exact_as_their_buckets() -> None:
    histogram = category(used(), "histograms")["app:a:prediction_latency"]
    numbers = {key: float(value) for key, value in histogram.items() if key != "unit"}
    assert histogram["unit"] == "us"
    assert histogram["size"] == "4"
    assert (numbers["min"], numbers["max"]) == (3000, 200_000)
    assert numbers["mean"] == pytest.approx(53_000)
    assert 3000 <= numbers["p50"] <= 5000
    assert 150_000 <= numbers["p95"] <= numbers["p99"] <= 200_000
    assert 50_000 < numbers["std_dev"] < 100_000


def test_batch_sizes_are_in_queries() -> None:
    histogram = category(used(), "histograms")["model:m:1:batch_size"]
    assert (histogram["unit"], histogram["mean"]) == ("queries", "5.0")


def test_where_nothing_was_observed_everything_is_zero() -> None:
    metrics = Metrics()
    metrics.application("a")
    histogram = category(metrics, "histograms")["app:a:prediction_latency"]
    zeros = dict.fromkeys(("min", "max", "mean", "std_dev", "p50", "p95", "p99"), "0.0")
    assert histogram == {"unit": "us", "size": "0", **zeros}


def test_every_leaf_is_a_string() -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        if isinstance(value, list):
            return [leaf for one in value for leaf in leaves(one)]
        return [value]

    assert {type(leaf) for leaf in leaves(old_metrics(used(), 10.0))} == {str}
