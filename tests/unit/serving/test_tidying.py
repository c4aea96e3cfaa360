"""What deleted versions leave behind is removed, when their replicas have had time to end."""

import asyncio

import pytest

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks
from clipper.serving.tidying import DELAY_S, PERIOD_S, Tidier
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
