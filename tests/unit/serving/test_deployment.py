"""Deploying: what serves goes on serving until the new version can; a failure changes nothing."""

import asyncio
from pathlib import Path

import pytest

from clipper.core.errors import (
    AlreadyExists,
    DeployError,
    Incompatible,
    InvalidInput,
    StateError,
    UnknownModel,
)
from clipper.core.tasks import Tasks
from clipper.core.types import Description, InputType, Model, ReplicaId
from clipper.serving.engine import Files
from clipper.serving.services import SYNC_S
from clipper.state.memory import Memory, MemoryStore
from tests.fakes.containers import Script
from tests.fakes.predicting import application
from tests.fakes.world import World, id_of

pytestmark = pytest.mark.looptime

M1, M2 = id_of("m:1"), id_of("m:2")


async def settle() -> None:
    """Long enough for whatever was begun."""
    await asyncio.sleep(0.1)


async def serving(*, loading_s: float = 0.0) -> World:
    """An application that version 1 answers for; version 2 takes long to load."""
    world = World()
    services = await world.start()
    await services.catalogue.add_application(application("a", latency_slo_micros=1_000_000))
    await world.deploy("m:1")
    await services.catalogue.link("a", ["m"])
    world.behaviour("m:2").loading_s = loading_s
    return world


async def who_answers(world: World, data: bytes = b"1") -> str:
    question = world.ask(data)
    await settle()
    return ", ".join(map(str, question.answer.models))


async def test_when_it_returns_the_version_answers() -> None:
    world = await serving()
    assert await who_answers(world) == "m:1"
    await world.deploy("m:2")
    assert await who_answers(world) == "m:2"
    await world.services.close()


async def test_the_old_version_serves_until_the_new_one_is_ready() -> None:
    world = await serving(loading_s=10.0)
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:2"))
    for second in range(9):
        await asyncio.sleep(1)
        assert await who_answers(world, b"%d" % second) == "m:1"
    progress = world.services.deployer.in_progress[M2]
    assert progress.phase == "starting"
    assert 9 < progress.elapsed_s < 10.5
    await deploying
    assert await who_answers(world) == "m:2"
    assert world.services.deployer.in_progress == {}
    await world.services.close()


async def test_the_other_replicas_follow_the_first() -> None:
    world = await serving()
    await world.deploy("m:2", replicas=3)
    await settle()
    assert world.running == ["m:1#0", "m:2#0", "m:2#1", "m:2#2"]
    await world.services.close()


@pytest.mark.parametrize("way", ["exits", "never ready", "takes another type", "no file"])
async def test_a_failed_deploy_changes_nothing_and_says_why(way: str) -> None:
    world = await serving(loading_s=3600.0 if way == "never ready" else 0.0)
    services = world.services
    before, models = services.catalogue.config, dict(services.metrics.models)
    lines = ("loading", "no module named 'x'")
    reasons = {
        "exits": "m:2#0 exited with code 1; its last lines:\n  loading\n  no module named 'x'",
        "never ready": "m:2#0 was not ready within 60 s; its last lines:\n  loading\n  no module",
        "takes another type": "m:2#0 takes floats",
        "no file": "the model's file",
    }
    if way == "takes another type":
        world.behaviour("m:2").refusal = "takes floats"
    elif way == "no file":
        world.missing.add("/models/m:2")
    else:
        world.scripts["/models/m:2"] = Script(lines, exits_with=1 if way == "exits" else None)
    with pytest.raises(DeployError) as failure:
        await world.deploy("m:2")
    assert failure.value.message.startswith(reasons[way])
    assert services.catalogue.config is before
    assert services.metrics.models == models
    assert services.deployer.in_progress == {}
    assert await who_answers(world) == "m:1"
    assert world.running == ["m:1#0"]
    assert services.fleet.status(M2) == []
    await services.close()


async def test_after_a_failed_deploy_the_same_version_can_be_deployed() -> None:
    world = await serving()
    world.scripts["/models/m:2"] = Script(exits_with=1)
    with pytest.raises(DeployError):
        await world.deploy("m:2")
    del world.scripts["/models/m:2"]
    await world.deploy("m:2")
    assert await who_answers(world) == "m:2"
    await world.services.close()


async def test_of_two_deploys_of_the_same_version_at_once_one_wins() -> None:
    world = await serving(loading_s=5.0)
    outcomes = await asyncio.gather(
        *(world.deploy("m:2") for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), AlreadyExists, AlreadyExists]
    assert str(outcomes[1]) == "m:2 is being deployed already."
    assert world.running == ["m:1#0", "m:2#0"]
    await world.services.close()


async def test_two_versions_may_be_deployed_at_once() -> None:
    world = await serving(loading_s=5.0)
    await asyncio.gather(world.deploy("m:2"), world.deploy("m:3"), world.deploy("n:1"))
    assert world.running == ["m:1#0", "m:2#0", "m:3#0", "n:1#0"]
    assert world.services.catalogue.config.current == {"m": "2", "n": "1"}
    await world.services.close()


async def test_a_version_that_exists_is_refused_before_anything_is_started() -> None:
    world = await serving()
    with pytest.raises(AlreadyExists, match="model with name 'm' and version '1' already exists"):
        await world.deploy("m:1")
    with pytest.raises(Incompatible):
        await world.deploy("m:2", input_type=InputType.FLOATS)
    with pytest.raises(InvalidInput):
        await world.deploy("m:2", replicas=0)
    with pytest.raises(InvalidInput, match="m:2 has no deployment"):
        await world.services.deployer.deploy(Model(M2, InputType.STRINGS), 60)
    assert len(world.manager.started) == 1
    await world.services.close()


async def test_a_deploy_attaches_to_a_version_that_was_only_registered() -> None:
    world = await serving()
    await world.services.catalogue.add_model(Model(M2, InputType.STRINGS))
    assert await who_answers(world, b"2") == ""
    await world.deploy("m:2")
    assert await who_answers(world, b"2") == "m:2"
    await world.services.close()


async def test_a_failed_attachment_leaves_the_registration() -> None:
    world = await serving()
    await world.services.catalogue.add_model(Model(M2, InputType.STRINGS))
    world.scripts["/models/m:2"] = Script(exits_with=1)
    with pytest.raises(DeployError):
        await world.deploy("m:2")
    assert world.services.catalogue.config.models[M2].deployment is None
    assert world.running == ["m:1#0"]
    assert await who_answers(world, b"2") == ""
    await world.services.close()


async def test_a_deploy_that_cannot_be_registered_leaves_nothing_running() -> None:
    store = MemoryStore()
    world = World(store)
    services = await world.start()
    world.behaviour("m:1").loading_s = 5.0
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:1"), is_awaited=True)
    await asyncio.sleep(1)
    await store.close()
    with pytest.raises(StateError):
        await deploying
    assert world.running == []
    assert M1 not in services.metrics.models
    await store.open()
    await world.deploy("m:1")
    assert world.running == ["m:1#0"]
    await services.close()


async def test_before_the_store_was_read_nothing_is_tried_out() -> None:
    world = World()
    with pytest.raises(StateError, match="The store cannot be reached yet"):
        await world.deploy("m:1")
    assert world.manager.started == []
    await world.services.close()


async def test_a_cancelled_deploy_leaves_nothing_running() -> None:
    world = await serving(loading_s=3600.0)
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:2"))
    await asyncio.sleep(1)
    deploying.cancel()
    await asyncio.wait((deploying,))
    assert deploying.cancelled()
    assert world.running == ["m:1#0"]
    assert world.services.deployer.in_progress == {}
    await world.services.close()


async def test_a_change_of_the_configuration_does_not_end_what_is_being_tried_out() -> None:
    world = await serving(loading_s=5.0)
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:2"))
    await asyncio.sleep(1)
    await world.services.catalogue.add_application(application("b"))
    await world.services.catalogue.scale(M1, 2)
    await deploying
    assert world.running == ["m:1#0", "m:1#1", "m:2#0"]
    await world.services.close()


async def test_of_two_daemons_that_deploy_the_same_version_one_wins_and_both_serve_it() -> None:
    memory = Memory()
    worlds = [World(MemoryStore(memory)) for _ in range(2)]
    for world, loading_s in zip(worlds, (5.0, 6.0), strict=True):
        await world.start()
        world.behaviour("m:1").loading_s = loading_s
    outcomes = await asyncio.gather(
        *(world.deploy("m:1", replicas=2) for world in worlds), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), AlreadyExists]
    await asyncio.sleep(10 + SYNC_S)
    for world in worlds:
        assert world.running == ["m:1#0", "m:1#1"]
        assert world.states("m:1") == {0: "ready", 1: "ready"}
    for world in worlds:
        await world.services.close()


async def test_a_version_that_was_deleted_can_be_deployed_again_and_remembers_nothing() -> None:
    world = await serving()
    assert await who_answers(world) == "m:1"
    await world.services.catalogue.delete_model(M1)
    assert await who_answers(world) == ""
    await world.deploy("m:1")
    assert await who_answers(world) == "m:1"
    assert world.batches("m:1") == [[b"1"], [b"1"]], "nothing came from the old version's cache"
    await world.services.close()


def says(world: World, model: str, input_type: InputType | None) -> None:
    """The model says what it takes."""
    world.behaviour(model).description = Description(input_type, "a forest", "int32[4]", "float64")


def input_type_of(world: World, model: str) -> InputType:
    return world.services.catalogue.config.models[id_of(model)].input_type


async def test_a_model_that_is_asked_says_what_it_takes() -> None:
    world = World()
    await world.start()
    says(world, "m:1", InputType.INTEGERS)
    await world.deploy("m:1", is_asked=True, replicas=2)
    await settle()
    assert input_type_of(world, "m:1") is InputType.INTEGERS
    assert world.states("m:1") == {0: "ready", 1: "ready"}
    accepted = [one.spec.accepted for one in world.manager.started]
    assert accepted == ["any", "integers"]
    (first, _) = world.services.fleet.status(M1)
    assert first.description.model == "a forest"
    await world.services.close()


async def test_a_replica_of_a_model_that_was_asked_has_to_take_the_same_ever_after() -> None:
    world = World()
    await world.start()
    says(world, "m:1", InputType.INTEGERS)
    await world.deploy("m:1", is_asked=True)
    world.manager.started[0].end(1, "exited with code 1")
    await asyncio.sleep(10)
    assert [one.spec.accepted for one in world.manager.started] == ["any", "integers"]
    await world.services.close()


async def test_a_model_that_does_not_say_takes_what_the_version_before_it_does() -> None:
    world = World()
    await world.start()
    await world.deploy("m:1", input_type=InputType.DOUBLES)
    says(world, "m:2", None)
    await world.deploy("m:2", is_asked=True, input_type=InputType.FLOATS)
    assert input_type_of(world, "m:2") is InputType.DOUBLES
    says(world, "n:1", None)
    await world.deploy("n:1", is_asked=True, input_type=InputType.FLOATS)
    assert input_type_of(world, "n:1") is InputType.FLOATS
    await world.services.close()


async def test_a_model_that_says_what_its_application_does_not_send_is_not_deployed() -> None:
    world = await serving()
    says(world, "m:2", InputType.BYTES)
    with pytest.raises(Incompatible, match="'bytes'"):
        await world.deploy("m:2", is_asked=True)
    assert await who_answers(world) == "m:1"
    await world.services.close()


async def test_installing_what_a_model_needs_takes_what_it_takes_and_loading_it_does_not() -> None:
    world = World()
    await world.start()
    world.scripts["/models/m:1"] = Script(installing_s=900)
    await world.deploy("m:1", None)
    world.behaviour("m:2").loading_s = 900
    with pytest.raises(DeployError, match="not ready within 120 s"):
        await world.deploy("m:2", None)
    world.scripts["/models/m:3"] = Script(installing_s=900)
    with pytest.raises(DeployError, match="not ready within 300 s"):
        await world.deploy("m:3", 300)
    await world.services.close()


async def test_a_model_that_is_asked_is_not_held_to_what_it_was_guessed_to_take() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_application(application("a"))
    await world.deploy("m:1", input_type=InputType.STRINGS)
    await services.catalogue.link("a", ["m"])
    await services.catalogue.delete_model(M1)
    says(world, "m:2", InputType.STRINGS)
    await world.deploy("m:2", is_asked=True, input_type=InputType.FLOATS)
    assert input_type_of(world, "m:2") is InputType.STRINGS
    await services.close()


async def test_a_daemon_that_ends_says_so_to_who_deploys_and_tries_no_more() -> None:
    world = await serving(loading_s=100)
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:2"), is_awaited=True)
    await settle()
    world.services.fleet.abandon_trials()
    with pytest.raises(DeployError, match="the daemon is being stopped"):
        await deploying
    with pytest.raises(DeployError, match="the daemon is being stopped"):
        await world.deploy("m:3")
    await world.services.close()


async def test_each_attempt_has_a_log_of_its_own_which_outlives_it(tmp_path: Path) -> None:
    world = World(files=Files(logs=tmp_path))
    services = await world.start()
    replica = ReplicaId(M1, 0)
    file = tmp_path / "m" / "1" / "0.log"
    with pytest.raises(UnknownModel):
        await services.logs(replica, 10)
    file.parent.mkdir(parents=True)
    file.write_text("of an attempt that failed\n")
    assert await services.logs(replica, 10) == ["of an attempt that failed"]
    with pytest.raises(UnknownModel):
        await services.logs(ReplicaId(id_of("..:m"), 0), 10)
    await world.deploy("m:1")
    assert not file.exists()
    assert await services.logs(replica, 10) == ["Serving"]
    await services.catalogue.scale(M1, 0)
    file.parent.mkdir(parents=True)
    file.write_text("its last words\n")
    await settle()
    assert await services.logs(replica, 10) == ["its last words"]
    await services.catalogue.add_application(application("a"))
    await services.catalogue.link("a", ["m"])
    idle = "Application 'a' has no live replica of m:1, which is scaled to 0."
    assert services.ready() == [idle]
    await services.close()
