"""What deleted versions leave behind is removed, when their replicas have had time to end."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from clipper.core.errors import DeployError, StateError
from clipper.core.tasks import Tasks
from clipper.core.types import Deployment
from clipper.deploy.packages import Packages
from clipper.serving.tidying import DELAY_S, PERIOD_S, Tidier
from clipper.state.memory import MemoryStore
from tests.fakes.world import World, id_of

pytestmark = pytest.mark.looptime


class Keeper:
    """Counts how often it was to forget."""

    def __init__(self, trouble: str = "") -> None:
        self.asked = 0
        self._trouble = trouble

    async def forget(self) -> None:
        self.asked += 1
        if self._trouble:
            raise DeployError(self._trouble)


async def test_a_manager_is_told_what_is_left_after_a_version_was_deleted() -> None:
    world = World()
    services = await world.start()
    await world.deploy("m:1")
    await world.deploy("m:2")
    await services.catalogue.delete_model(id_of("m:1"))
    assert world.manager.needed is None
    await asyncio.sleep(DELAY_S + 1)
    assert world.manager.needed is not None
    assert [one.path for one in world.manager.needed] == ["/models/m:2"]
    await services.close()


async def test_what_is_being_deployed_is_not_garbage() -> None:
    world = World()
    services = await world.start()
    await world.deploy("m:1")
    world.behaviour("m:2").loading_s = 50
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:2"))
    await services.catalogue.delete_model(id_of("m:1"))
    await asyncio.sleep(DELAY_S + 1)
    assert world.manager.needed is not None
    assert [one.path for one in world.manager.needed] == ["/models/m:2"]
    await deploying
    await services.close()


class FakePackages(Packages):
    """Says what it is told to keep."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.needed: list[str] | None = None

    async def forget(self, needed: Callable[[], Collection[Deployment]]) -> None:
        self.needed = sorted(one.path for one in needed())


async def test_what_is_deployed_while_others_forget_is_needed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    services = await world.start()
    services.packages = packages = FakePackages()

    async def slow(deployments: Collection[Deployment]) -> None:
        await asyncio.sleep(100)

    monkeypatch.setattr(world.manager, "forget", slow)
    await world.deploy("m:1")
    await world.deploy("m:2")
    await services.catalogue.delete_model(id_of("m:1"))
    await asyncio.sleep(DELAY_S + 1)
    await world.deploy("m:3")
    await asyncio.sleep(100)
    assert packages.needed == ["/models/m:2", "/models/m:3"]
    await services.close()


class Unreachable(MemoryStore):
    """A store that is down."""

    async def open(self) -> None:
        raise StateError("It is down.")


async def test_nothing_goes_before_it_is_known_what_is_needed() -> None:
    world = World(store=Unreachable())
    services = await world.start()
    services.packages = packages = FakePackages()
    await asyncio.sleep(PERIOD_S + 2 * DELAY_S)
    assert packages.needed is None
    await services.close()


async def test_several_deletions_are_tidied_up_after_together_and_now_and_then_anyway() -> None:
    keeper, tasks = Keeper(), Tasks()
    tidier = Tidier(lambda: [keeper.forget])
    tasks.spawn("tidy", tidier.run())
    await asyncio.sleep(0)
    for _ in range(3):
        tidier.deleted()
        await asyncio.sleep(1)
    await asyncio.sleep(DELAY_S)
    assert keeper.asked == 1
    await asyncio.sleep(PERIOD_S + 2 * DELAY_S)
    assert keeper.asked == 2
    await tasks.cancel()


async def test_who_cannot_forget_keeps_nobody_else_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken, sound, tasks = Keeper("the disk is gone"), Keeper(), Tasks()
    tidier = Tidier(lambda: [broken.forget, sound.forget])
    tasks.spawn("tidy", tidier.run())
    tidier.deleted()
    await asyncio.sleep(DELAY_S + 1)
    assert sound.asked == 1
    assert "the disk is gone" in caplog.text
    await tasks.cancel()
