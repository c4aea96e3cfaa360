"""The forecast: who has no chance is known on arrival; who has one is never turned away."""

import pytest

from clipper.abstraction.batching import FixedSize
from clipper.abstraction.forecast import CERTAIN, Forecast
from clipper.abstraction.latency import LatencyEstimate
from clipper.abstraction.member import Member

BATCH_S = 0.1
OBJECTIVE_S = 1.0


def busy(until: float, limit: int = 10) -> Member:
    """A replica whose batches take a tenth of a second."""
    member = Member(FixedSize(limit, OBJECTIVE_S), LatencyEstimate())
    member.estimate.observe(limit, BATCH_S)
    member.is_busy, member.busy_until = True, until
    return member


@pytest.fixture
def forecast() -> Forecast:
    forecast, member = Forecast(), busy(1.0)
    forecast.update([member], member, 10, crowded=False)
    return forecast


def test_before_any_batch_everybody_has_a_chance() -> None:
    assert Forecast().done_at(10_000, 5.0) == 5.0


def test_who_comes_next_waits_for_the_batch_in_hand(forecast: Forecast) -> None:
    assert forecast.done_at(0, 0.5) == pytest.approx(1.0 + CERTAIN * BATCH_S)


def test_who_has_whole_batches_ahead_waits_for_them(forecast: Forecast) -> None:
    first, second = forecast.done_at(9, 0.5), forecast.done_at(10, 0.5)
    assert second - first == pytest.approx(BATCH_S)
    assert forecast.done_at(35, 0.5) - first == pytest.approx(3 * BATCH_S)


def test_replicas_share_the_work() -> None:
    forecast, members = Forecast(), [busy(1.0), busy(2.0)]
    forecast.update(members, members[0], 10, crowded=False)
    assert forecast.done_at(20, 0.5) - forecast.done_at(0, 0.5) == pytest.approx(BATCH_S)
    assert forecast.done_at(0, 0.5) < 1.5, "the first of them will be free at 1"


def test_a_batch_that_is_overdue_is_not_held_against_arrivals(forecast: Forecast) -> None:
    assert forecast.done_at(0, 7.0) == pytest.approx(7.0 + CERTAIN * BATCH_S)


def test_in_a_crowd_an_arrivals_own_batch_is_as_large_as_the_last() -> None:
    forecast, member = Forecast(), busy(0.0)
    for size in range(1, 100):
        member.estimate.observe(size, 0.01 * size)
    forecast.update([member], member, 10, crowded=False)
    alone = forecast.done_at(0, 1.0)
    forecast.update([member], member, 10, crowded=True)
    assert forecast.done_at(0, 1.0) - alone == pytest.approx(CERTAIN * 0.09, rel=0.05)


def test_no_model_is_so_slow_that_nobody_gets_to_it() -> None:
    forecast, member = Forecast(), busy(1.0)
    member.estimate.restart(10, 3600.0)
    forecast.update([member], member, 10, crowded=True)
    assert forecast.done_at(0, 1.0) <= 1.0 + CERTAIN * OBJECTIVE_S
