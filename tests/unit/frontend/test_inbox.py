"""Requests that come while the event loop is behind."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from clipper.frontend.inbox import SLICE_S, Inbox


class Turns:
    """An event loop, one turn after the other."""

    def __init__(self) -> None:
        self.now = self.began = 100.0
        self.soon: list[Callable[[], object]] = []

    def time(self) -> float:
        return self.began

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.soon.append(partial(callback, *args))

    def turn(self) -> None:
        """The next turn begins, and does what it was told to."""
        self.began = self.now
        soon, self.soon = self.soon, []
        for callback in soon:
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


def test_what_is_read_after_a_busy_turn_came_during_it(turns: Turns, inbox: Inbox) -> None:
    inbox.arrival()
    turns.now += 0.03
    inbox.arrival()
    turns.turn()
    arrived, has_to_wait = inbox.arrival()
    assert arrived == pytest.approx(100.0)
    assert not has_to_wait


def test_what_is_read_after_an_idle_turn_came_just_now(turns: Turns, inbox: Inbox) -> None:
    inbox.arrival()
    turns.now += 60.0
    turns.turn()
    assert inbox.arrival() == (turns.now, False)
