"""The forecast: who would be dropped later is known on arrival."""

import pytest

from clipper.abstraction.batching import FixedSize
from clipper.abstraction.forecast import Forecast
from clipper.abstraction.latency import STRANGE_MAX, LatencyEstimate
from clipper.abstraction.member import Member
from clipper.abstraction.queue import BatchQueue
from clipper.core.metrics import ModelStats
from tests.fakes.callers import Asked

BATCH_S = 0.1
OBJECTIVE_S = 1.0


def busy(until: float, limit: int = 10) -> Member:
    """A replica whose batches take a tenth of a second."""
    member = Member(FixedSize(limit, OBJECTIVE_S), LatencyEstimate())
    member.estimate.observe(limit, BATCH_S)
    member.is_busy, member.busy_until = True, until
    return member


def forecast_of(*members: Member, size: int = 10, is_crowded: bool = False) -> Forecast:
    """After the first of them has taken a batch."""
    return Forecast(members, members[0], size, is_crowded=is_crowded)


def queue_of(*deadlines: float) -> BatchQueue:
    queue = BatchQueue(1000, 1000, lambda: 0.0, ModelStats())
    for deadline in deadlines:
        queue.put(Asked(b"1", deadline).task, 0.0)
    return queue


@pytest.fixture
def forecast() -> Forecast:
    """The replica will be free at 1.0."""
    return forecast_of(busy(1.0))


def test_who_comes_next_waits_for_the_batch_in_hand(forecast: Forecast) -> None:
    assert forecast.done_at(0, 0.5) == pytest.approx(1.0 + BATCH_S)


def test_who_has_whole_batches_ahead_waits_for_them(forecast: Forecast) -> None:
    first, second = forecast.done_at(9, 0.5), forecast.done_at(10, 0.5)
    assert second - first == pytest.approx(BATCH_S)
    assert forecast.done_at(35, 0.5) - first == pytest.approx(3 * BATCH_S)


def test_replicas_share_the_work() -> None:
    forecast = forecast_of(busy(1.0), busy(2.0))
    assert forecast.done_at(20, 0.5) - forecast.done_at(0, 0.5) == pytest.approx(BATCH_S)
    assert forecast.done_at(0, 0.5) < 1.5, "the first of them will be free at 1"


def test_a_batch_that_is_overdue_is_not_held_against_arrivals(forecast: Forecast) -> None:
    assert forecast.done_at(0, 7.0) == pytest.approx(7.0 + BATCH_S)


def test_in_a_crowd_an_arrivals_own_batch_is_as_large_as_the_last() -> None:
    member = busy(0.0)
    for size in range(1, 100):
        member.estimate.observe(size, 0.01 * size)
    alone = forecast_of(member).done_at(0, 1.0)
    crowded = forecast_of(member, is_crowded=True).done_at(0, 1.0)
    assert crowded - alone == pytest.approx(0.09, rel=0.05)


def test_no_model_is_so_slow_that_nobody_gets_to_it() -> None:
    member = busy(1.0)
    for _ in range(STRANGE_MAX):
        member.estimate.observe(10, 3600.0)
    assert forecast_of(member, is_crowded=True).done_at(0, 1.0) <= 1.0 + OBJECTIVE_S


def test_only_who_would_be_late_is_hopeless(forecast: Forecast) -> None:
    done_at = forecast.done_at(0, 0.5)
    assert forecast.is_hopeless(done_at - 0.01, queue_of(), 0.5)
    assert not forecast.is_hopeless(done_at + 0.01, queue_of(), 0.5)


def test_those_ahead_count_by_their_deadlines(forecast: Forecast) -> None:
    queue = queue_of(*[3.0] * 100)
    assert forecast.is_hopeless(3.0, queue, 0.0) is False, "a thousand milliseconds for ten batches"
    assert forecast.is_hopeless(1.9, queue, 0.0) is False, "it would be before all of them"
    assert forecast.is_hopeless(3.0, queue_of(*[3.0] * 300), 0.0)


def test_whoever_will_be_dropped_is_in_nobodys_way(forecast: Forecast) -> None:
    assert not forecast.is_hopeless(1.2, queue_of(*[1.05] * 300), 0.0)


def test_whoever_will_be_dropped_does_no_arrival_a_favour_either(forecast: Forecast) -> None:
    assert forecast.is_hopeless(1.05, queue_of(*[1.08] * 300), 0.0)


def test_arrivals_are_judged_by_what_nearly_all_batches_keep_to_until_all_are_told() -> None:
    member = busy(1.0)
    for number in range(100):
        member.estimate.observe(10, BATCH_S * (1.5 if number % 5 == 0 else 1.0))
    member.told(10, 0.2)
    expected = member.estimate.p90_s(10) + 0.2
    assert expected > 1.2 * BATCH_S + 0.2
    assert forecast_of(member, is_crowded=True).done_at(0, 0.5) == pytest.approx(1.0 + expected)
