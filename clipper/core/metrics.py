"""What is counted, and how: plain numbers on the hot path, Prometheus families only when scraped.

A counter of prometheus_client costs a lock and a label look-up each time. Here whoever counts holds
its own small object (`ApplicationStats`, `ModelStats`) and adds to a plain integer; `Metrics`, a
collector on a registry of its own, turns them into metric families when somebody asks.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from clipper.core.types import ModelId

LATENCY_BOUNDS_S = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03),
    *(0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0),
)
BATCH_ENDINGS = ("limit", "queue_empty", "wait_expired", "bytes", "retry", "probe")
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Histogram:
    """Counts by bucket and the sum of what was observed."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BOUNDS_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def quantile(self, q: float) -> float:
        """The value below which a share q of the observations lies, interpolated in its bucket.

        0 where nothing was observed.
        """
        rank, lower = q * self.count, 0.0
        if not self.count:
            return lower
        for upper, count in zip((*self.bounds, self.bounds[-1]), self.counts, strict=True):
            if count and rank <= count:
                return lower + (upper - lower) * rank / count
            rank -= count
            lower = upper
        return lower

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus buckets: for each upper bound, how many are not above it."""
        buckets, running = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            running += count
            buckets.append((bound, float(running)))
        return buckets


RATE_WINDOWS_S = (60.0, 300.0, 900.0)


class Rates:
    """Events a second, averaged exponentially over one, five and fifteen minutes."""

    __slots__ = ("_seen", "by_window")

    def __init__(self) -> None:
        self.by_window = [0.0] * len(RATE_WINDOWS_S)
        self._seen = 0

    def update(self, count: int, elapsed_s: float) -> None:
        """Take in how many events there have been so far, `elapsed_s` after the last time."""
        rate = (count - self._seen) / elapsed_s
        self._seen = count
        for index, window_s in enumerate(RATE_WINDOWS_S):
            old = self.by_window[index]
            self.by_window[index] = old + (rate - old) * (1 - math.exp(-elapsed_s / window_s))


@dataclass(slots=True)
class ApplicationStats:
    """What became of an application's queries; each is counted once, by outcome."""

    answered: int = 0
    """By a model, within the deadline."""
    no_model: int = 0
    """By the default output, like the next four: no link, or no live replica."""
    late: int = 0
    model_failed: int = 0
    overloaded: int = 0
    policy_failed: int = 0
    low_confidence: int = 0
    """By the default output too, as the models did not agree enough."""
    rejected: int = 0
    """Refused with 429, not answered."""
    cancelled: int = 0
    """The client went away first."""
    feedbacks: int = 0
    policy: str = ""
    """The name of its selection policy, if that has a choice; then, by model version:"""
    credits: dict[str, int] = field(default_factory=dict)
    """answers that it gave, or had a share in,"""
    lessons: dict[str, int] = field(default_factory=dict)
    """how often feedback was about it,"""
    losses: dict[str, float] = field(default_factory=dict)
    """and the sum of its losses."""
    rates: Rates = field(default_factory=Rates)
    latency: Histogram = field(default_factory=Histogram)

    def judge(self, model: str, loss: float) -> None:
        """Feedback was about this model."""
        self.lessons[model] = self.lessons.get(model, 0) + 1
        self.losses[model] = self.losses.get(model, 0.0) + loss

    def count(self, outcome: str) -> None:
        """One more query with this outcome."""
        setattr(self, outcome, getattr(self, outcome) + 1)

    @property
    def defaults(self) -> int:
        """Queries that the default output answered."""
        unanswered = self.no_model + self.late + self.model_failed + self.overloaded
        return unanswered + self.low_confidence

    @property
    def predictions(self) -> int:
        """Queries that got an answer, the default output included."""
        return self.answered + self.defaults


@dataclass(slots=True)
class ModelStats:
    """What one model version did."""

    predictions: int = 0
    batches: int = 0
    failed_batches: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    approximate_hits: int = 0
    audited: int = 0
    disagreed: int = 0
    joined: int = 0
    """Queries that shared the computation of an identical one already in flight."""
    expired: int = 0
    shed: int = 0
    hedged: int = 0
    late: int = 0
    retried: int = 0
    restarts: int = 0
    queue_depth: int = 0
    rates: Rates = field(default_factory=Rates)
    queue_wait: Histogram = field(default_factory=Histogram)
    batch_size: Histogram = field(default_factory=lambda: Histogram(BATCH_BOUNDS))
    endings: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BATCH_ENDINGS, 0))
    """Batches by why they had no more queries than they had."""
    rpc: Histogram = field(default_factory=Histogram)
    model_time: Histogram = field(default_factory=Histogram)
    limits: dict[int, float] = field(default_factory=dict)
    """Batch size limit of each live replica, by its index."""
    approximate_is_on: bool | None = None
    """Whether near inputs share outputs; None where that was not asked for."""
    states: dict[int, str] = field(default_factory=dict)
    """State of each replica, by its index."""

    def count_batch(self, size: int, ended_by: str) -> None:
        """A batch was sent."""
        self.batch_size.observe(size)
        self.endings[ended_by] += 1


@dataclass(slots=True)
class CacheStats:
    """What the prediction cache holds and did."""

    bytes: int = 0
    entries: int = 0
    evictions: int = 0


REPLICA_STATES = ("starting", "ready", "backing_off", "stopping")

APPLICATION_OUTCOMES = (
    "answered",
    "no_model",
    "late",
    "model_failed",
    "overloaded",
    "policy_failed",
    "low_confidence",
    "rejected",
    "cancelled",
)

MODEL_COUNTERS = {
    "predictions": "Outputs received from the model",
    "batches": "Batches answered by the model",
    "failed_batches": "Batches on which the model or its replica failed",
    "cache_hits": "Queries answered from the prediction cache",
    "cache_misses": "Queries that had to be computed",
    "approximate_hits": "Queries answered with the output for a near input",
    "audited": "Approximate answers that the model was asked for as well",
    "disagreed": "Audited approximate answers that were wrong",
    "joined": "Queries that joined an identical one in flight",
    "expired": "Queued queries dropped because their deadline had passed",
    "shed": "Queries refused or dropped because they would have been answered too late",
    "hedged": "Queries that were sent to a second replica because the first was overdue",
    "late": "Outputs that came after everyone who wanted them had left",
    "retried": "Queries sent again after their replica broke off",
    "restarts": "Replicas started again after they had failed",
}

MODEL_HISTOGRAMS = {
    "queue_wait": ("clipper_model_queue_wait_seconds", "Time from submission to dispatch"),
    "batch_size": ("clipper_model_batch_size", "Queries in a batch"),
    "rpc": ("clipper_model_rpc_seconds", "Round trip of a batch, the model's time included"),
    "model_time": ("clipper_model_predict_seconds", "Time of a batch inside the model's own code"),
}


class Metrics:
    """Every number of a daemon, as a Prometheus collector on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.applications: dict[str, ApplicationStats] = {}
        self.models: dict[ModelId, ModelStats] = {}
        self.cache = CacheStats()
        self.degraded = False
        """Whether the store cannot be reached."""
        self.worker_restarts = 0
        """Worker processes started again after they had ended."""
        self.registry.register(self)

    def application(self, name: str) -> ApplicationStats:
        """The numbers of an application, made on first use."""
        return self.applications.setdefault(name, ApplicationStats())

    def model(self, model: ModelId) -> ModelStats:
        """The numbers of a model version, made on first use."""
        return self.models.setdefault(model, ModelStats())

    def update_rates(self, elapsed_s: float) -> None:
        """Bring every rate up to date; called now and then."""
        for app in self.applications.values():
            app.rates.update(app.predictions, elapsed_s)
        for model in self.models.values():
            model.rates.update(model.predictions, elapsed_s)

    def forget_model(self, model: ModelId) -> None:
        """Drop a deleted version's numbers, so that names cannot pile up."""
        self.models.pop(model, None)
        for app in self.applications.values():
            for counts in (app.credits, app.lessons, app.losses):
                counts.pop(str(model), None)

    def forget_application(self, name: str) -> None:
        """Drop a deleted application's numbers."""
        self.applications.pop(name, None)

    def collect(self) -> Iterator[Metric]:
        """All metric families; called by the registry."""
        yield from _application_families(self.applications)
        yield from _selection_families(self.applications)
        yield from _model_families(self.models)
        for name, help_text, value in (
            ("clipper_cache_bytes", "Bytes held by the prediction cache", self.cache.bytes),
            ("clipper_cache_entries", "Outputs held by the prediction cache", self.cache.entries),
            ("clipper_store_degraded", "1 while the store cannot be reached", int(self.degraded)),
        ):
            yield GaugeMetricFamily(name, help_text, value=value)
        for name, help_text, value in (
            ("clipper_cache_evictions", "Outputs evicted for space", self.cache.evictions),
            (
                "clipper_worker_restarts",
                "Worker processes started again after they had ended",
                self.worker_restarts,
            ),
        ):
            yield CounterMetricFamily(name, help_text, value=value)


def _application_families(applications: dict[str, ApplicationStats]) -> Iterable[Metric]:
    queries = CounterMetricFamily(
        "clipper_queries", "Queries by outcome", labels=("app", "outcome")
    )
    feedbacks = CounterMetricFamily("clipper_feedbacks", "Feedback received", labels=("app",))
    latency = HistogramMetricFamily(
        "clipper_query_latency_seconds", "Time from arrival to answer", labels=("app",)
    )
    for app, stats in applications.items():
        for outcome in APPLICATION_OUTCOMES:
            queries.add_metric((app, outcome), getattr(stats, outcome))
        feedbacks.add_metric((app,), stats.feedbacks)
        latency.add_metric((app,), stats.latency.cumulative(), stats.latency.total)
    return queries, feedbacks, latency


SELECTION_COUNTERS = {
    "credits": ("clipper_selection_answers", "Answers that a model gave or had a share in"),
    "lessons": ("clipper_selection_lessons", "Feedback about a model's outputs"),
    "losses": ("clipper_selection_loss", "Sum of the losses of a model, each from 0 to 1"),
}


def _selection_families(applications: dict[str, ApplicationStats]) -> Iterator[Metric]:
    for counter, (name, text) in SELECTION_COUNTERS.items():
        family = CounterMetricFamily(name, text, labels=("app", "policy", "model", "version"))
        for app, stats in applications.items():
            for model, number in getattr(stats, counter).items():
                family.add_metric((app, stats.policy, *model.split(":", 1)), number)
        yield family


def _model_families(models: dict[ModelId, ModelStats]) -> Iterator[Metric]:
    for counter, text in MODEL_COUNTERS.items():
        family = CounterMetricFamily(f"clipper_model_{counter}", text, labels=("model", "version"))
        for model, stats in models.items():
            family.add_metric(model, getattr(stats, counter))
        yield family
    for histogram, (name, text) in MODEL_HISTOGRAMS.items():
        timings = HistogramMetricFamily(name, text, labels=("model", "version"))
        for model, stats in models.items():
            observed: Histogram = getattr(stats, histogram)
            timings.add_metric(model, observed.cumulative(), observed.total)
        yield timings
    yield _model_endings(models)
    yield from _model_gauges(models)


def _model_endings(models: dict[ModelId, ModelStats]) -> Metric:
    endings = CounterMetricFamily(
        "clipper_model_batches_sent",
        "Batches sent, by why they were not larger",
        labels=("model", "version", "ended_by"),
    )
    for model, stats in models.items():
        for ending, count in stats.endings.items():
            endings.add_metric((*model, ending), count)
    return endings


def _model_gauges(models: dict[ModelId, ModelStats]) -> Iterator[Metric]:
    labels = ("model", "version")
    depth = GaugeMetricFamily("clipper_model_queue_depth", "Queries waiting", labels=labels)
    limit = GaugeMetricFamily(
        "clipper_model_batch_size_limit", "Batch size limit, mean of live replicas", labels=labels
    )
    states = GaugeMetricFamily(
        "clipper_model_replicas", "Replicas by state", labels=(*labels, "state")
    )
    near = GaugeMetricFamily(
        "clipper_model_approximate_cache_on",
        "1 while outputs for near inputs are served, 0 since the audit has ended that",
        labels=labels,
    )
    for model, stats in models.items():
        if stats.approximate_is_on is not None:
            near.add_metric(model, int(stats.approximate_is_on))
        depth.add_metric(model, stats.queue_depth)
        if stats.limits:
            limit.add_metric(model, sum(stats.limits.values()) / len(stats.limits))
        for state in REPLICA_STATES:
            states.add_metric(
                (*model, state), sum(1 for found in stats.states.values() if found == state)
            )
    return iter((depth, limit, near, states))
