"""Builds that are shared: by who asks meanwhile, as long as somebody waits, and few at a time."""

import asyncio

import pytest

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks
from clipper.deploy.logs import Log
from clipper.deploy.shared_build import BUILDS_AT_ONCE, SharedBuilds

pytestmark = pytest.mark.looptime
BUILD_S = 10


class Output:
    """A log in memory."""

    def __init__(self) -> None:
        self.text = ""

    def append(self, chunk: bytes) -> None:
        self.text += chunk.decode()


class Site:
    """Builds numbers, in a while."""

    def __init__(self) -> None:
        self.builds: SharedBuilds[int] = SharedBuilds("the thing")
        self.begun = self.ended = 0
        self.most_at_once = 0
        self.fails = False
        self.tasks = Tasks()

    async def build(self, file: Log) -> int:
        self.begun += 1
        number = self.begun
        self.most_at_once = max(self.most_at_once, self.begun - self.ended)
        try:
            file.append(b"begun\n")
            await asyncio.sleep(BUILD_S)
            if self.fails:
                raise DeployError("no such part")
            file.append(b"done\n")
        finally:
            await asyncio.sleep(1)  # it takes a while to end, too
            self.ended += 1
        return number

    def asks(self, key: str = "a", file: Log | None = None) -> "asyncio.Task[int]":
        call = self.builds.get(key, self.build, file or Output())
        return self.tasks.spawn("asks", call, is_awaited=True)


@pytest.fixture
def site() -> Site:
    return Site()


async def test_who_asks_meanwhile_shares_the_build_and_has_its_output_from_then_on(
    site: Site,
) -> None:
    first, late = Output(), Output()
    one = site.asks(file=first)
    await asyncio.sleep(1)
    assert list(site.builds) == ["a"]
    other = site.asks(file=late)
    assert (await one, await other) == (1, 1)
    assert (first.text, late.text) == ("begun\ndone\n", "done\n")
    assert list(site.builds) == []


async def test_who_asks_afterwards_has_another_and_so_has_who_asks_for_something_else(
    site: Site,
) -> None:
    assert await site.asks() == 1
    assert list(await asyncio.gather(site.asks(), site.asks("b"))) == [2, 3]


async def test_all_learn_that_it_failed_and_the_next_one_tries_again(site: Site) -> None:
    site.fails = True
    results = await asyncio.gather(site.asks(), site.asks(), return_exceptions=True)
    assert [str(result) for result in results] == ["no such part"] * 2
    site.fails = False
    assert await site.asks() == 2


async def test_one_that_gives_up_hurts_no_other_and_the_last_takes_the_build_along(
    site: Site,
) -> None:
    one, other = site.asks(), site.asks()
    await asyncio.sleep(1)
    one.cancel()
    await asyncio.wait([one])
    assert site.ended == 0
    other.cancel()
    await asyncio.wait([other])
    assert site.ended == 1, "before the last one is told"
    assert other.cancelled()


async def test_who_asks_while_a_build_that_was_given_up_ends_has_another(site: Site) -> None:
    one = site.asks()
    await asyncio.sleep(1)
    one.cancel()
    await asyncio.sleep(0)
    assert await site.asks() == 2


async def test_few_run_at_a_time(site: Site) -> None:
    numbers = await asyncio.gather(*(site.asks(key) for key in "abcde"))
    assert sorted(numbers) == [1, 2, 3, 4, 5]
    assert site.most_at_once == BUILDS_AT_ONCE


async def test_one_that_is_given_up_before_its_turn_never_begins(site: Site) -> None:
    asking = [site.asks(key) for key in "abc"]
    await asyncio.sleep(1)
    asking[-1].cancel()
    assert await asyncio.gather(*asking[:-1]) == [1, 2]
    assert site.begun == 2


async def test_closing_ends_builds_and_tells_all_who_wait_that_they_were_not_cancelled(
    site: Site,
) -> None:
    asking = [site.asks(), site.asks()]
    await asyncio.sleep(1)
    await site.builds.close()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [str(result) for result in results] == [
        "the thing a is not built: its manager is closed"
    ] * 2
    assert site.ended == 1
