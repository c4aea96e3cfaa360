"""`GET /metrics` as the old release answered it: JSON, by category, every leaf a string.

Its histograms kept samples; ours keep buckets, so the smallest, the largest and the deviation are
as exact as the buckets are.
"""

import math
from typing import Any

from clipper.core.metrics import Histogram, Metrics, Rates

MICROS = 1e6


def old_metrics(metrics: Metrics, uptime_s: float) -> dict[str, list[dict[str, Any]]]:
    """Counters, ratios, meters and histograms of every application and model."""
    counters: dict[str, int] = {
        "internal:prediction_cache_entries": metrics.cache.entries,
        "internal:prediction_cache_bytes": metrics.cache.bytes,
        "internal:prediction_cache_evictions": metrics.cache.evictions,
    }
    ratios: dict[str, float] = {}
    meters: dict[str, dict[str, str]] = {}
    histograms: dict[str, dict[str, str]] = {}
    for name, app in metrics.applications.items():
        key = f"app:{name}"
        counters[f"{key}:num_predictions"] = app.predictions
        ratios[f"{key}:default_prediction_ratio"] = _ratio(app.defaults, app.predictions)
        meters[f"{key}:prediction_throughput"] = _meter(app.predictions, app.rates, uptime_s)
        histograms[f"{key}:prediction_latency"] = _histogram(app.latency, "us", MICROS)
    for model, stats in metrics.models.items():
        key = f"model:{model}"
        counters[f"{key}:num_predictions"] = stats.predictions
        lookups = stats.cache_hits + stats.cache_misses + stats.joined
        ratios[f"{key}:cache_hit_ratio"] = _ratio(stats.cache_hits, lookups)
        meters[f"{key}:prediction_throughput"] = _meter(stats.predictions, stats.rates, uptime_s)
        histograms[f"{key}:prediction_latency"] = _histogram(stats.rpc, "us", MICROS)
        histograms[f"{key}:batch_size"] = _histogram(stats.batch_size, "queries", 1)
    hits = sum(stats.cache_hits for stats in metrics.models.values())
    misses = sum(stats.cache_misses for stats in metrics.models.values())
    ratios["internal:prediction_cache_hit_ratio"] = _ratio(hits, hits + misses)
    return {
        "counters": [{name: {"count": str(value)}} for name, value in counters.items()],
        "ratio_counters": [{name: {"ratio": str(value)}} for name, value in ratios.items()],
        "meters": [{name: value} for name, value in meters.items()],
        "histograms": [{name: value} for name, value in histograms.items()],
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _meter(count: int, rates: Rates, uptime_s: float) -> dict[str, str]:
    one, five, fifteen = map(str, rates.by_window)
    return {
        "unit": "events per second",
        "rate": str(count / uptime_s if uptime_s > 0 else 0.0),
        "rate_1min": one,
        "rate_5min": five,
        "rate_15min": fifteen,
    }


def _histogram(histogram: Histogram, unit: str, scale: float) -> dict[str, str]:
    edges = (0.0, *histogram.bounds, histogram.bounds[-1])
    filled = [index for index, count in enumerate(histogram.counts) if count]
    size = histogram.count
    mean = histogram.total / size if size else 0.0
    variance = sum(
        histogram.counts[index] * ((edges[index] + edges[index + 1]) / 2 - mean) ** 2
        for index in filled
    )
    numbers = {
        "min": edges[filled[0]] if filled else 0.0,
        "max": edges[filled[-1] + 1] if filled else 0.0,
        "mean": mean,
        "std_dev": math.sqrt(variance / size) if size else 0.0,
        "p50": histogram.quantile(0.5),
        "p95": histogram.quantile(0.95),
        "p99": histogram.quantile(0.99),
    }
    return {
        "unit": unit,
        "size": str(size),
        **{name: str(value * scale) for name, value in numbers.items()},
    }
