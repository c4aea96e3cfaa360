"""What several processes have counted, as if one had: plain values, added field by field.

A sum of sums is the sum: in which order they are added, and who counted what, makes no difference.
Of a process that has ended, what it counted goes on counting; what it merely was, its gauges, ends
with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import msgspec

from clipper.abstraction.latency import Profile
from clipper.core.metrics import (
    ApplicationStats,
    CacheStats,
    Histogram,
    Metrics,
    ModelStats,
    Rates,
)
from clipper.core.types import ModelId
from clipper.serving.figures import ApproximationFigures, ReplicaFigures

Stats = ApplicationStats | ModelStats | CacheStats
Plain = Mapping[str, Any]

GAUGES = frozenset(
    ("queue_depth", "limits", "states", "approximate_is_on", "rates", "bytes", "entries")
)


class Told(msgspec.Struct):
    """All that one process has counted."""

    applications: dict[str, Plain] = {}
    models: list[tuple[ModelId, Plain]] = []
    cache: Plain = {}
    approximations: list[tuple[ModelId, ApproximationFigures]] = []
    replicas: dict[int, ReplicaFigures] = {}
    """By the number of their life."""
    degraded: bool = False
    """Whether the store cannot be reached."""
    worker_restarts: int = 0
    adopted: int = 0
    """The number of the configuration that it served by then."""

    @classmethod
    def of(cls, metrics: Metrics) -> "Told":
        """The metrics of this process."""
        return cls(
            {app: plain(stats) for app, stats in metrics.applications.items()},
            [(model, plain(stats)) for model, stats in metrics.models.items()],
            plain(metrics.cache),
            degraded=metrics.degraded,
            worker_restarts=metrics.worker_restarts,
        )

    def ended(self) -> "Told":
        """What is left of it when the process has ended: counters, no gauges."""
        return Told(
            {app: _counters(stats) for app, stats in self.applications.items()},
            [(model, _counters(stats)) for model, stats in self.models],
            _counters(self.cache),
        )


def _counters(numbers: Plain) -> Plain:
    return {name: value for name, value in numbers.items() if name not in GAUGES}


def plain(stats: Stats) -> Plain:
    """The fields as values that can travel."""
    return {field.name: _plain(getattr(stats, field.name)) for field in fields(stats)}


def _plain(value: Any) -> Any:
    if isinstance(value, Histogram):
        return [*value.counts, value.total]
    if isinstance(value, Rates):
        return list(value.by_window)
    return dict(value) if isinstance(value, dict) else value


def add_all(total: Metrics, told: Told) -> None:
    """Add what a process has told."""
    for app, numbers in told.applications.items():
        add(total.application(app), numbers)
    for model, numbers in told.models:
        add(total.model(model), numbers)
    add(total.cache, told.cache)
    total.degraded |= told.degraded
    total.worker_restarts += told.worker_restarts


def add(stats: Stats, numbers: Plain) -> None:
    """Add one process's numbers of an application, a model version or the cache."""
    for name, value in numbers.items():
        mine = getattr(stats, name)
        if isinstance(mine, Histogram):
            _add_histogram(mine, value)
        elif isinstance(mine, Rates):
            mine.by_window = [a + b for a, b in zip(mine.by_window, value, strict=True)]
        elif name == "limits":
            # Only their mean is shown: whose they are makes no difference.
            mine.update(enumerate(value.values(), len(mine)))
        elif name == "states":
            mine.update((int(index), state) for index, state in value.items())
        elif isinstance(mine, dict):
            mine.update((key, mine.get(key, 0) + count) for key, count in value.items())
        elif name == "policy":
            setattr(stats, name, mine or value)
        elif name == "approximate_is_on":
            setattr(stats, name, value if mine is None else mine and value is not False)
        else:
            setattr(stats, name, mine + value)


def _add_histogram(histogram: Histogram, numbers: Sequence[float]) -> None:
    *counts, total = numbers
    pairs = zip(histogram.counts, map(int, counts), strict=True)
    histogram.counts = [mine + count for mine, count in pairs]
    histogram.total += total


def merged_replica(parts: Sequence[ReplicaFigures]) -> ReplicaFigures:
    """One replica that several processes ask: its largest limit, and the latency they see."""
    leading = max(parts, key=lambda part: (part.limit, part.batches))
    return ReplicaFigures(
        leading.limit,
        leading.limit_reason,
        _mean_profile([(part.latency, max(1, part.batches)) for part in parts if part.latency]),
        sum(part.batches for part in parts),
        sum(part.queries for part in parts),
    )


def _mean_profile(weighted: Sequence[tuple[Profile, int]]) -> Profile | None:
    """The mean of what they saw, by how many batches each saw."""
    weight = sum(times for _, times in weighted)
    if not weight:
        return None

    def mean(name: str) -> float:
        total: float = sum(getattr(profile, name) * times for profile, times in weighted)
        return total / weight

    largest = max(profile.largest for profile, _ in weighted)
    return Profile(mean("fixed_s"), mean("per_item_s"), mean("p90"), mean("p99"), largest)


def merged_approximations(
    parts: Iterable[tuple[ModelId, ApproximationFigures]],
) -> dict[ModelId, ApproximationFigures]:
    """The approximate caches of several processes; one that is off shows as off."""
    merged: dict[ModelId, ApproximationFigures] = {}
    for model, part in parts:
        known = merged.get(model)
        merged[model] = part if known is None else _both(known, part)
    return merged


def _both(one: ApproximationFigures, other: ApproximationFigures) -> ApproximationFigures:
    disagreed, audited = map(sum, zip(one.recent, other.recent, strict=True))
    return ApproximationFigures(
        one.is_on and other.is_on,
        one.reason or other.reason,
        one.entries + other.entries,
        one.audited + other.audited,
        one.disagreed + other.disagreed,
        (disagreed, audited),
    )
