"""Requests that come while the event loop is behind."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from clipper.frontend.inbox import SLICE_S, TICK_S, Inbox


class Turns:
    """An event loop, one turn after the other."""

    def __init__(self) -> None:
        self.now = self.began = 100.0
        self.soon: list[Callable[[], object]] = []
        self.later: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.began

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.soon.append(partial(callback, *args))

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        self.later.append((self.now + delay, partial(callback, *args)))

    def turn(self) -> None:
        """The next turn begins, and does what it was told to."""
        self.began = self.now
        due = [one for one in self.later if one[0] <= self.now]
        self.later = [one for one in self.later if one not in due]
        soon, self.soon = self.soon, []
        for callback in [*(callback for _, callback in due), *soon]:
            callback()


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def inbox(turns: Turns) -> Inbox:
    return Inbox(turns, lambda: turns.now)


def test_a_request_is_begun_at_once_where_the_turn_is_young(turns: Turns, inbox: Inbox) -> None:
    turns.now += 0.0005
    assert inbox.arrival() == (turns.now, False)


def test_a_long_turn_begins_with_nothing_more(turns: Turns, inbox: Inbox) -> None:
    turns.now += 0.005
    assert inbox.arrival() == (turns.began, True)


def test_who_waits_is_begun_in_order_and_no_turn_takes_long(turns: Turns, inbox: Inbox) -> None:
    begun: list[tuple[int, float]] = []

    def begin(number: int, arrived: float) -> None:
        turns.now += SLICE_S / 4
        begun.append((number, arrived))

    for number in range(10):
        inbox.add(partial(begin, number), 90.0 + number)
    lengths = []
    while len(inbox):
        turns.turn()
        lengths.append(turns.now - turns.began)
    assert begun == [(number, 90.0 + number) for number in range(10)]
    assert max(lengths) <= 1.5 * SLICE_S
    assert not turns.soon


def test_who_comes_while_others_wait_waits_behind_them(turns: Turns, inbox: Inbox) -> None:
    inbox.add(lambda arrived: None, turns.now)
    turns.began = turns.now
    assert inbox.arrival()[1]


def test_where_the_loop_is_late_requests_are_older_than_they_seem(
    turns: Turns, inbox: Inbox
) -> None:
    inbox.arrival()
    turns.now += 0.03
    turns.turn()
    arrived, has_to_wait = inbox.arrival()
    assert arrived == pytest.approx(turns.now - (0.03 - TICK_S))
    assert not has_to_wait


def test_only_what_is_read_in_the_turn_that_was_late_is_older(turns: Turns, inbox: Inbox) -> None:
    inbox.arrival()
    turns.now += 0.03
    turns.turn()
    assert inbox.arrival()[0] < turns.now
    turns.now += 0.003
    turns.turn()
    assert inbox.arrival() == (turns.now, False)


def test_where_every_turn_is_late_whatever_is_read_is_older(turns: Turns, inbox: Inbox) -> None:
    for _ in range(3):
        inbox.arrival()
        turns.now += 0.03
        turns.turn()
    turns.now += 0.003
    turns.turn()
    assert inbox.arrival()[0] == pytest.approx(turns.now - (0.03 - TICK_S))


def test_a_request_that_fails_does_not_stop_those_behind_it(turns: Turns, inbox: Inbox) -> None:
    begun: list[float] = []

    def fail(arrived: float) -> None:
        raise ZeroDivisionError

    inbox.add(fail, 1.0)
    inbox.add(begun.append, 2.0)
    with pytest.raises(ZeroDivisionError):
        turns.turn()
    turns.turn()
    assert begun == [2.0]


def test_a_loop_that_is_on_time_again_makes_nobody_older(turns: Turns, inbox: Inbox) -> None:
    for length_s in (0.03, TICK_S):
        inbox.arrival()
        turns.now += length_s
        turns.turn()
    assert inbox.arrival() == (turns.now, False)


def test_nobody_is_older_than_those_who_came_before(turns: Turns, inbox: Inbox) -> None:
    turns.now += 0.0005
    first, _ = inbox.arrival()
    turns.now += 0.005  # the turn has become a long one: what comes now seems to have begun with it
    second, has_to_wait = inbox.arrival()
    assert has_to_wait
    assert second == first


def test_the_clock_stops_when_no_requests_come(turns: Turns, inbox: Inbox) -> None:
    for _ in range(2):
        inbox.arrival()
        turns.now += 0.03
        turns.turn()
    turns.now += 0.03
    turns.turn()
    assert not turns.later
    turns.now += 60.0
    turns.turn()
    assert inbox.arrival() == (turns.now, False)
