"""Merging: who counted what, and in which order it is added, makes no difference."""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clipper.core.metrics import APPLICATION_OUTCOMES, BATCH_ENDINGS, Metrics
from clipper.core.types import ModelId
from clipper.workers.merging import Told, add_all

APPS = st.sampled_from(["a", "b"])
MODELS = st.sampled_from([ModelId("m", "1"), ModelId("m", "2"), ModelId("n", "1")])
SECONDS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 4.0, 1e3])  # sums of these are exact
Event = Callable[[Metrics], None]


def answer(app: str, outcome: str, seconds: float) -> Event:
    def happen(metrics: Metrics) -> None:
        stats = metrics.application(app)
        stats.count(outcome)
        stats.latency.observe(seconds)

    return happen


def batch(model: ModelId, size: int, ending: str, seconds: float) -> Event:
    def happen(metrics: Metrics) -> None:
        stats = metrics.model(model)
        stats.count_batch(size, ending)
        stats.predictions += size
        stats.batches += 1
        stats.queue_depth += size
        stats.rpc.observe(seconds)
        stats.rates.by_window = [rate + 1 for rate in stats.rates.by_window]

    return happen


def evict(size: int) -> Event:
    def happen(metrics: Metrics) -> None:
        metrics.cache.evictions += size
        metrics.cache.bytes += size

    return happen


EVENTS = st.one_of(
    st.builds(answer, APPS, st.sampled_from(APPLICATION_OUTCOMES), SECONDS),
    st.builds(batch, MODELS, st.integers(1, 5000), st.sampled_from(BATCH_ENDINGS), SECONDS),
    st.builds(evict, st.integers(0, 1000)),
)
WHO = st.integers(0, 3)


def shown(metrics: Metrics) -> Any:
    """All that can be seen of metrics, whatever was mentioned first."""
    samples = [sample for family in metrics.collect() for sample in family.samples]
    rates = {app: stats.rates.by_window for app, stats in metrics.applications.items()}
    rates_of = {model: stats.rates.by_window for model, stats in metrics.models.items()}
    return (
        sorted((one.name, sorted(one.labels.items()), one.value) for one in samples),
        rates,
        rates_of,
    )


def travelled(metrics: Metrics) -> Told:
    """As it arrives in another process."""
    return msgspec.json.decode(msgspec.json.encode(Told.of(metrics)), type=Told)


@given(st.lists(st.tuples(WHO, EVENTS), max_size=40), st.permutations(range(4)))
def test_what_several_counted_is_what_one_had_counted(
    happened: list[tuple[int, Event]], order: list[int]
) -> None:
    alone, counters, total = Metrics(), [Metrics() for _ in range(4)], Metrics()
    for who, event in happened:
        event(counters[who])
        event(alone)
    for who in order:
        add_all(total, travelled(counters[who]))
    assert shown(total) == shown(alone)


@given(st.lists(EVENTS, max_size=20), st.lists(EVENTS, max_size=20))
def test_of_who_has_ended_the_counters_stay(before: list[Event], after: list[Event]) -> None:
    ended, successor, alone, total = Metrics(), Metrics(), Metrics(), Metrics()
    for event in before:
        event(ended)
        event(alone)
    for event in after:
        event(successor)
        event(alone)
    add_all(total, travelled(ended).ended())
    add_all(total, travelled(successor))
    gauges = ("clipper_cache_bytes", "clipper_model_queue_depth")

    def counted(metrics: Metrics) -> Any:
        return [one for one in shown(metrics)[0] if one[0] not in gauges]

    assert counted(total) == counted(alone)
    assert total.cache.bytes == successor.cache.bytes
