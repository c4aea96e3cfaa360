"""What deleted versions leave behind is removed, when their replicas have had time to end."""

import asyncio
from collections.abc import Collection

import pytest

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks
from clipper.core.types import Deployment
from clipper.serving.tidying import DELAY_S, PERIOD_S, Tidier
from tests.fakes.world import World, id_of

pytestmark = pytest.mark.looptime


class Keeper:
    """Remembers what it was told that there still is."""

    def __init__(self, trouble: str = "") -> None:
        self.told: list[int] = []
        self._trouble = trouble

    async def forget(self, deployments: Collection[Deployment]) -> None:
        self.told.append(len(deployments))
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


async def test_several_deletions_are_tidied_up_after_together_and_now_and_then_anyway() -> None:
    keeper, tasks = Keeper(), Tasks()
    tidier = Tidier(lambda: [keeper], list)
    tasks.spawn("tidy", tidier.run())
    await asyncio.sleep(0)
    for _ in range(3):
        tidier.deleted()
        await asyncio.sleep(1)
    await asyncio.sleep(DELAY_S)
    assert keeper.told == [0]
    await asyncio.sleep(PERIOD_S + 2 * DELAY_S)
    assert keeper.told == [0, 0]
    await tasks.cancel()


async def test_who_cannot_forget_keeps_nobody_else_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken, sound, tasks = Keeper("the disk is gone"), Keeper(), Tasks()
    tidier = Tidier(lambda: [broken, sound], list)
    tasks.spawn("tidy", tidier.run())
    tidier.deleted()
    await asyncio.sleep(DELAY_S + 1)
    assert sound.told == [0]
    assert "the disk is gone" in caplog.text
    await tasks.cancel()
