"""Deadlines: everybody who is not settled expires at theirs, once, by few timers."""

import asyncio
from dataclasses import dataclass, field

import pytest

from clipper.serving.expiry import CROWDED, Expiry

pytestmark = pytest.mark.looptime

EARLY_S = 0.001
"""Timers may fire this much early."""


@dataclass(eq=False)
class Waiting:
    deadline: float
    is_settled: bool = False
    expired_at: list[float] = field(default_factory=list)


def expire(waiting: Waiting) -> None:
    waiting.is_settled = True
    waiting.expired_at.append(asyncio.get_running_loop().time())


def watch(expiry: Expiry[Waiting], *deadlines: float) -> list[Waiting]:
    watched = [Waiting(deadline) for deadline in deadlines]
    for one in watched:
        expiry.watch(one)
    return watched


def assert_expired_in_time(*watched: Waiting) -> None:
    for one in watched:
        assert one.expired_at == [pytest.approx(one.deadline, abs=2 * EARLY_S)]


async def test_who_is_not_settled_expires_at_the_deadline() -> None:
    (one,) = watch(Expiry(expire), 0.1)
    await asyncio.sleep(0.09)
    assert not one.is_settled
    await asyncio.sleep(0.02)
    assert_expired_in_time(one)


async def test_who_is_settled_in_time_is_left_alone() -> None:
    settled, unsettled = watch(Expiry(expire), 0.1, 0.2)
    settled.is_settled = True
    await asyncio.sleep(1)
    assert settled.expired_at == []
    assert_expired_in_time(unsettled)


async def test_everybody_has_their_own_deadline() -> None:
    watched = watch(Expiry(expire), *[0.1 * number for number in range(1, 20)])
    await asyncio.sleep(3)
    assert_expired_in_time(*watched)


async def test_equal_deadlines_expire_together() -> None:
    watched = watch(Expiry(expire), 0.1, 0.1, 0.1)
    await asyncio.sleep(1)
    assert_expired_in_time(*watched)


async def test_a_deadline_that_has_passed_already_is_met_at_once() -> None:
    await asyncio.sleep(1)
    (one,) = watch(Expiry(expire), 0.5)
    await asyncio.sleep(0.01)
    assert len(one.expired_at) == 1


async def test_a_tighter_deadline_behind_a_later_one_is_met() -> None:
    later, tighter, between = watch(Expiry(expire), 1.0, 0.1, 0.5)
    await asyncio.sleep(2)
    assert_expired_in_time(later, tighter, between)


async def test_a_tighter_deadline_after_all_others_were_settled_is_met() -> None:
    expiry: Expiry[Waiting] = Expiry(expire)
    (settled,) = watch(expiry, 10.0)
    settled.is_settled = True
    (tighter,) = watch(expiry, 0.1)
    await asyncio.sleep(20)
    assert_expired_in_time(tighter)


async def test_a_tighter_deadline_that_is_settled_does_not_expire() -> None:
    _, tighter = watch(Expiry(expire), 1.0, 0.1)
    tighter.is_settled = True
    await asyncio.sleep(2)
    assert tighter.expired_at == []


async def test_it_goes_on_after_it_was_idle() -> None:
    expiry: Expiry[Waiting] = Expiry(expire)
    for _ in range(3):
        now = asyncio.get_running_loop().time()
        (one,) = watch(expiry, now + 0.1)
        await asyncio.sleep(1)
        assert_expired_in_time(one)


async def test_who_settles_others_as_it_expires_hurts_nobody() -> None:
    watched: list[Waiting] = []

    def expire_two(waiting: Waiting) -> None:
        expire(waiting)
        watched[1].is_settled = True

    watched += watch(Expiry(expire_two), 0.1, 0.1, 0.1)
    await asyncio.sleep(1)
    assert [len(one.expired_at) for one in watched] == [1, 0, 1]


async def test_the_settled_do_not_pile_up_behind_one_who_is_not() -> None:
    expiry: Expiry[Waiting] = Expiry(expire)
    (slow,) = watch(expiry, 10.0)
    for _ in range(3 * CROWDED):
        (quick,) = watch(expiry, 10.0)
        quick.is_settled = True
    assert len(expiry) <= CROWDED + 1
    await asyncio.sleep(20)
    assert_expired_in_time(slow)


async def test_a_crowd_of_unsettled_is_kept_whole() -> None:
    watched = watch(Expiry(expire), *[0.1] * (2 * CROWDED))
    await asyncio.sleep(1)
    assert all(len(one.expired_at) == 1 for one in watched)


async def test_one_whose_expiry_fails_keeps_nobody_else_waiting() -> None:
    failures: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))

    def expire_but_one(waiting: Waiting) -> None:
        if waiting is watched[0]:
            raise OSError("no answer could be written")
        expire(waiting)

    watched: list[Waiting] = []
    watched += watch(Expiry(expire_but_one), 0.1, 0.1, 0.2)
    await asyncio.sleep(1)
    assert_expired_in_time(*watched[1:])
    assert len(failures) == 1
