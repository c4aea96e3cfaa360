"""A replica as the scheduler sees it: its predictions end at the objective."""

import pytest

from clipper.abstraction.batching import Aimd, FixedSize
from clipper.abstraction.latency import LatencyEstimate, Profile
from clipper.abstraction.member import Member


@pytest.fixture
def member() -> Member:
    """Takes 10 ms and 1 ms a query, with an objective of 50 ms."""
    return Member(FixedSize(8, 0.05), LatencyEstimate(Profile(0.01, 0.001, 1.2, 2.0, 8)))


def test_it_is_expected_to_take_as_long_as_it_did(member: Member) -> None:
    assert member.mean_s(8) == pytest.approx(0.018)
    assert member.needed_s(8) == pytest.approx(0.018 * 1.2)
    assert member.p99_s(8) == pytest.approx(0.018 * 2)


def test_nothing_is_expected_to_take_longer_than_the_objective(member: Member) -> None:
    assert member.mean_s(1000) == member.needed_s(1000) == member.p99_s(1000) == 0.05


def test_it_is_free_when_its_batch_should_be_back(member: Member) -> None:
    assert member.free_in_s(1.0) == 0.0
    member.started(8, 1.0)
    assert member.free_in_s(1.0) == pytest.approx(0.018)
    assert member.free_in_s(1.010) == pytest.approx(0.008)


def test_one_that_is_overdue_is_expected_to_be_as_late_again(member: Member) -> None:
    member.started(8, 1.0)
    assert member.free_in_s(2.018) == pytest.approx(1.0)


def test_it_is_done_with_as_many_whole_batches_as_there_is_time_for(member: Member) -> None:
    assert member.done_within(0.017, waiting=100, now=1.0) == 0
    assert member.done_within(0.040, waiting=100, now=1.0) == 16
    assert member.done_within(0.400, waiting=100, now=1.0) == 100
    member.started(8, 1.0)
    assert member.done_within(0.040, waiting=100, now=1.0) == 8


def test_fewer_than_a_full_batch_are_done_sooner(member: Member) -> None:
    assert member.done_within(0.013, waiting=2, now=1.0) == 2


def test_of_one_that_is_not_known_a_batch_is_expected_at_once() -> None:
    member = Member(FixedSize(8, 0.05), LatencyEstimate())
    assert member.done_within(0.001, waiting=100, now=1.0) == 8


def test_it_counts_what_it_answered(member: Member) -> None:
    for size in (8, 3):
        member.observe(size, 0.02)
    assert (member.batches, member.queries) == (2, 11)


def test_its_limit_is_its_controls_until_it_stops() -> None:
    member = Member(Aimd(1.0, start=16), LatencyEstimate())
    assert member.limit == 16
    member.is_stopping = True
    assert member.limit == 0
