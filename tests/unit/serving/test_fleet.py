"""The fleet: as many live replicas as the configuration wants, and no container too many."""

import asyncio

import pytest

from clipper.core.errors import DeployError, InvalidInput, UnknownModel
from clipper.core.tasks import Tasks
from clipper.core.types import Model, ReplicaId
from clipper.deploy.manager import ContainerSpec
from tests.fakes.containers import FakeContainer, FakeManager, Script
from tests.fakes.predicting import application
from tests.fakes.world import World, deployed, id_of

pytestmark = pytest.mark.looptime


async def settle() -> None:
    """Long enough for whatever was begun."""
    await asyncio.sleep(0.1)


async def test_every_replica_that_is_wanted_runs() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_model(deployed("m:1", replicas=2))
    await services.catalogue.add_model(deployed("n:1"))
    await settle()
    assert world.running == ["m:1#0", "m:1#1", "n:1#0"]
    assert world.states("m:1") == {0: "ready", 1: "ready"}
    assert services.fleet.counts() == {"ready": 3, "starting": 0, "backing_off": 0}
    await services.close()


async def test_a_version_without_containers_has_no_replicas() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_model(Model(id_of("m:1"), deployed("m:1").input_type))
    await settle()
    assert world.running == []
    assert services.fleet.status(id_of("m:1")) == []
    await services.close()


async def test_scaling_starts_and_stops_the_difference() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_model(deployed("m:1", replicas=2))
    for replicas in (4, 1, 0, 2):
        await services.catalogue.scale(id_of("m:1"), replicas)
        await settle()
        assert world.running == [f"m:1#{index}" for index in range(replicas)]
    assert len(world.manager.started) == 6, "who may stay is left alone"
    await services.close()


async def test_scaling_down_loses_no_query() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_application(application("a", latency_slo_micros=10_000_000))
    await world.deploy("m:1", replicas=3)
    await services.catalogue.link("a", ["m"])
    world.behaviour("m:1").fixed_s = 0.05
    await settle()
    questions = []
    for number in range(200):
        questions.append(world.ask(b"%d" % number))
        if number == 100:
            await services.catalogue.scale(id_of("m:1"), 1)
        await asyncio.sleep(0.001)
    await services.predictor.drain()
    assert [question.value for question in questions] == list(range(200))
    await settle()
    assert world.running == ["m:1#0"]
    await services.close()


async def test_scaling_up_again_before_the_last_batch_ended_is_no_trouble() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_application(application("a", latency_slo_micros=10_000_000))
    await world.deploy("m:1")
    await services.catalogue.link("a", ["m"])
    world.behaviour("m:1").fixed_s = 1.0
    question = world.ask()
    await settle()
    await services.catalogue.scale(id_of("m:1"), 0)
    await services.catalogue.scale(id_of("m:1"), 1)
    await asyncio.sleep(2)
    assert question.value == 1
    assert world.running == ["m:1#0"]
    assert world.states("m:1") == {0: "ready"}
    assert services.metrics.models[id_of("m:1")].states == {0: "ready"}
    await services.close()


async def test_a_deleted_version_ends_its_replicas() -> None:
    world = World()
    services = await world.start()
    for version in ("1", "2"):
        await world.deploy(f"m:{version}", replicas=2)
    await services.catalogue.delete_model(id_of("m:2"))
    await settle()
    assert world.running == ["m:1#0", "m:1#1"]
    assert services.catalogue.config.current == {"m": "1"}
    assert id_of("m:2") not in services.metrics.models
    await services.close()


async def test_what_only_another_daemon_can_run_does_not_keep_the_rest_from_running() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_model(deployed("k:1", manager="kubernetes"))
    await services.catalogue.add_model(deployed("m:1"))
    await settle()
    assert world.running == ["m:1#0"]
    await services.catalogue.delete_model(id_of("k:1"))
    await services.close()


async def test_logs_are_those_of_the_replica() -> None:
    world = World()
    services = await world.start()
    world.scripts["/models/m:1"] = Script(("one", "two", "three"))
    await world.deploy("m:1")
    assert await services.fleet.logs(ReplicaId(id_of("m:1"), 0), 2) == ["two", "three"]
    with pytest.raises(UnknownModel, match="There is no replica m:1#1"):
        await services.fleet.logs(ReplicaId(id_of("m:1"), 1), 2)
    await services.close()


async def test_a_manager_is_opened_once_and_only_when_it_is_needed() -> None:
    class Counting(FakeManager):
        opens = 0

        async def open(self) -> None:
            self.opens += 1
            await asyncio.sleep(1)
            await super().open()

    manager = Counting()
    world = World(manager=manager)
    services = await world.start()
    await settle()
    assert manager.opens == 0
    await asyncio.gather(*(world.deploy(f"m:{number}") for number in range(5)))
    assert manager.opens == 1
    await services.close()


async def test_who_gives_up_while_a_manager_opens_does_not_keep_it_from_opening() -> None:
    class Slow(FakeManager):
        opens = 0

        async def open(self) -> None:
            self.opens += 1
            await asyncio.sleep(10)
            await super().open()

    manager = Slow()
    world = World(manager=manager)
    services = await world.start()
    with pytest.raises(DeployError, match="was not ready within 3 s"):
        await world.deploy("m:1", 3)
    await world.deploy("m:2")
    assert manager.opens == 1
    assert asyncio.get_running_loop().time() == pytest.approx(10, abs=1)
    await services.close()


async def test_a_deploy_that_takes_too_long_to_start_its_container_ends_in_time() -> None:
    class Stuck(FakeManager):
        async def start(self, spec: ContainerSpec) -> FakeContainer:
            await asyncio.sleep(1200)
            return await super().start(spec)

    manager = Stuck()
    world = World(manager=manager)
    services = await world.start()
    with pytest.raises(DeployError, match="was not ready within 20 s"):
        await world.deploy("m:1", 20)
    assert asyncio.get_running_loop().time() == pytest.approx(20, abs=1)
    await asyncio.sleep(1200)
    assert manager.started == []
    await services.close()


async def test_a_manager_that_cannot_be_opened_is_tried_again() -> None:
    class Late(FakeManager):
        opens = 0

        async def open(self) -> None:
            self.opens += 1
            if self.opens < 3:
                raise DeployError("the engine is not running")
            await super().open()

    world = World(manager=Late())
    services = await world.start()
    await services.catalogue.add_model(deployed("m:1"))
    await settle()
    (status,) = services.fleet.status(id_of("m:1"))
    assert (status.state, status.last_exit) == ("backing_off", "the engine is not running")
    await asyncio.sleep(5)
    assert world.states("m:1") == {0: "ready"}
    await services.close()


async def test_closing_answers_the_batches_in_hand_and_leaves_no_container() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_application(application("a", latency_slo_micros=10_000_000))
    await world.deploy("m:1", replicas=2)
    await services.catalogue.link("a", ["m"])
    world.behaviour("m:1").fixed_s = 1.0
    await settle()
    questions = [world.ask(b"%d" % number) for number in range(2)]
    await asyncio.sleep(0.5)
    await services.fleet.close()
    assert [question.value for question in questions] == [0, 1]
    assert world.running == []
    await services.close()


async def test_closing_ends_what_is_still_being_tried_out() -> None:
    world = World()
    services = await world.start()
    world.behaviour("m:1").loading_s = 3600.0
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:1"), is_awaited=True)
    await settle()
    await services.fleet.close()
    assert world.running == []
    with pytest.raises(DeployError, match="was stopped"):
        await deploying
    await services.close()


async def test_draining_gives_up_what_is_being_tried_out_and_nothing_else() -> None:
    world = World()
    services = await world.start()
    await world.deploy("m:1")
    world.behaviour("m:2").loading_s = 3600.0
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:2"), is_awaited=True)
    await settle()
    await services.drain()
    with pytest.raises(DeployError, match="m:2 was not deployed: the daemon is being stopped"):
        await deploying
    assert world.states("m:1") == {0: "ready"}
    await services.close()


async def test_an_unknown_manager_leaves_nothing_behind() -> None:
    world = World()
    services = await world.start()
    with pytest.raises(InvalidInput, match="asks for the container manager 'x'") as refusal:
        await world.deploy("m:1", manager="x")
    assert refusal.value.hint == "Choose one of: fake."
    await world.deploy("m:1")
    await services.catalogue.scale(id_of("m:1"), 0)
    await settle()
    assert world.running == []
    await services.close()
