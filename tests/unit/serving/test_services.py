"""The serving layer as a whole: it starts without its store, keeps in step with it, and stops."""

import asyncio
from collections.abc import Mapping

import pytest

from clipper.core.errors import NewerSchema, StateError, UnknownQuery
from clipper.core.types import InputType, Model
from clipper.serving.opening import OPEN_RETRY_MAX_S
from clipper.serving.services import SYNC_S
from clipper.state.memory import Memory, MemoryStore
from clipper.state.store import Configuration
from tests.fakes.predicting import application
from tests.fakes.world import World, id_of

pytestmark = pytest.mark.looptime

STEP_S = SYNC_S + 0.01


class FlakyStore(MemoryStore):
    """May be away, or too new, or read-only; takes its time if told so."""

    def __init__(self, memory: Memory | None = None) -> None:
        super().__init__(memory)
        self.trouble: StateError | None = None
        self.is_read_only = False
        self.takes_s = 0.0

    async def _answer(self) -> None:
        await asyncio.sleep(self.takes_s)
        if self.trouble is not None:
            raise self.trouble

    async def open(self) -> None:
        await self._answer()
        await super().open()

    async def revision(self) -> int:
        await self._answer()
        return await super().revision()

    async def read(self) -> Configuration:
        await self._answer()
        return await super().read()

    async def commit(self, changes: Mapping[str, bytes | None], *, expected: int) -> int:
        await self._answer()
        return await super().commit(changes, expected=expected)

    async def reserve(self, counter: str, count: int) -> int:
        await self._answer()
        if self.is_read_only:
            raise StateError("the database is read-only")
        return await super().reserve(counter, count)


AWAY = StateError("connection refused")


async def test_a_daemon_without_applications_is_ready_as_soon_as_its_store_is_open() -> None:
    world = World()
    services = world.services
    (reason,) = services.ready()
    assert reason.startswith("The store memory:// is not open")
    await world.start()
    assert services.ready() == []
    assert services.status.store_state == "ok"
    assert services.status.uptime_s > 0
    await services.close()


async def test_a_store_that_is_down_at_start_is_tried_until_it_is_there() -> None:
    store = FlakyStore()
    store.trouble = AWAY
    world = World(store)
    services = await world.start()
    await asyncio.sleep(60)
    assert services.status.store_state == "unavailable"
    assert services.ready() == ["The store memory:// is not open: connection refused"]
    with pytest.raises(StateError):
        await services.catalogue.add_application(application("a"))
    store.trouble = None
    await asyncio.sleep(OPEN_RETRY_MAX_S + 0.1)
    assert services.status.store_state == "ok"
    assert services.ready() == []
    await services.catalogue.add_application(application("a"))
    await services.close()


async def test_a_store_of_a_newer_schema_is_not_used_and_said_so() -> None:
    store = FlakyStore()
    store.trouble = NewerSchema("The store was written by a newer release.")
    world = World(store)
    services = await world.start()
    await asyncio.sleep(60)
    assert services.status.store_state == "unavailable"
    assert "newer release" in services.ready()[0]
    await services.close()


async def test_without_its_store_what_is_served_is_served_on() -> None:
    store = FlakyStore()
    world = World(store)
    services = await world.start()
    await services.catalogue.add_application(application("a"))
    await world.deploy("m:1")
    await services.catalogue.link("a", ["m"])
    store.trouble = AWAY
    await asyncio.sleep(STEP_S)
    assert (services.status.store_state, services.status.trouble) == (
        "degraded",
        "connection refused",
    )
    assert services.metrics.degraded
    assert services.ready() == [], "it serves"
    question = world.ask()
    await asyncio.sleep(0.05)
    assert question.value == 1
    world.manager.started[-1].end(-9, "killed by SIGKILL")
    await asyncio.sleep(5)
    assert world.states("m:1") == {0: "ready"}, "replicas are replaced without it, too"
    store.trouble = None
    await asyncio.sleep(STEP_S)
    assert (services.status.store_state, services.status.trouble) == ("ok", "")
    assert not services.metrics.degraded
    await services.close()


async def test_a_store_that_cannot_be_written_is_noticed() -> None:
    store = FlakyStore()
    world = World(store)
    services = await world.start()
    store.is_read_only = True
    await asyncio.sleep(60)
    assert (services.status.store_state, services.status.trouble) == (
        "degraded",
        "the database is read-only",
    )
    await services.close()


async def test_the_stores_state_is_logged_when_it_changes_and_not_all_the_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FlakyStore()
    world = World(store)
    services = await world.start()
    store.trouble = AWAY
    await asyncio.sleep(60)
    store.trouble = None
    await asyncio.sleep(60)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["The store is degraded: connection refused"]
    await services.close()


async def test_what_another_daemon_changes_is_served_within_a_step() -> None:
    memory = Memory()
    one, other = World(FlakyStore(memory)), World(FlakyStore(memory))
    for world in (one, other):
        await world.start()
    await one.services.catalogue.add_application(application("a"))
    await one.deploy("m:1")
    await one.services.catalogue.link("a", ["m"])
    await asyncio.sleep(STEP_S + 0.1)
    assert other.running == ["m:1#0"]
    question = other.ask()
    await asyncio.sleep(0.05)
    assert question.value == 1
    await one.services.catalogue.delete_application("a")
    await one.services.catalogue.delete_model(id_of("m:1"))
    await asyncio.sleep(STEP_S + 0.1)
    assert other.running == []
    assert other.services.predictor.snapshot == {}
    for world in (one, other):
        await world.services.close()


async def test_an_application_that_another_daemon_creates_anew_has_nothing_of_the_old() -> None:
    memory = Memory()
    one, other = World(FlakyStore(memory)), World(FlakyStore(memory))
    for world in (one, other):
        await world.start()
    await one.services.catalogue.add_application(application("a", policy="exp3"))
    await one.deploy("m:1")
    await one.services.catalogue.link("a", ["m"])
    await asyncio.sleep(STEP_S + 0.1)
    question = other.ask()
    await asyncio.sleep(0.05)
    await other.services.feedback.by_query("a", question.answer.id, 1, None)
    again = other.ask()
    await asyncio.sleep(0.05)
    await one.services.catalogue.delete_application("a")
    await one.services.catalogue.add_application(application("a", policy="ucb1"))
    await one.services.catalogue.link("a", ["m"])
    await asyncio.sleep(STEP_S + 0.1)
    with pytest.raises(UnknownQuery):
        await other.services.feedback.by_query("a", again.answer.id, 1, None)
    assert other.services.metrics.applications["a"].predictions == 0
    question = other.ask()
    await asyncio.sleep(0.05)
    assert question.value == 1
    for world in (one, other):
        await world.services.close()


async def test_after_a_restart_everything_serves_again() -> None:
    memory = Memory()
    world = World(FlakyStore(memory))
    services = await world.start()
    await services.catalogue.add_application(application("a"))
    await world.deploy("m:1", replicas=2)
    await services.catalogue.link("a", ["m"])
    ids = {world.ask(b"7").query.id for _ in range(3)}
    await services.close()
    assert world.running == []
    restarted = World(FlakyStore(memory))
    await restarted.start()
    await asyncio.sleep(1)
    assert restarted.running == ["m:1#0", "m:1#1"]
    question = restarted.ask(b"7")
    await asyncio.sleep(0.05)
    assert question.value == 7
    assert question.answer.id not in ids
    await restarted.services.close()


async def test_readiness_names_what_would_not_be_answered() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_application(application("a", "m"))
    assert services.ready() == ["Application 'a' links the model 'm', which has no version."]
    await services.catalogue.add_model(Model(id_of("m:1"), InputType.STRINGS))
    assert services.ready() == ["Application 'a' has no live replica of m:1."]
    await world.deploy("m:2")
    assert services.ready() == []
    world.manager.started[-1].end(1, "exited with code 1")
    await asyncio.sleep(0.01)
    assert services.ready() == ["Application 'a' has no live replica of m:2."]
    await asyncio.sleep(1)
    assert services.ready() == []
    await services.close()


async def test_a_deleted_application_is_gone_from_the_metrics_and_from_the_journal() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_application(application("a", policy="exp3"))
    await world.deploy("m:1")
    await services.catalogue.link("a", ["m"])
    question = world.ask()
    await asyncio.sleep(0.05)
    await services.catalogue.delete_application("a")
    assert services.metrics.applications == {}
    await services.catalogue.add_application(application("a", policy="exp3"))
    assert services.metrics.applications["a"].predictions == 0
    with pytest.raises(UnknownQuery):
        await services.feedback.by_query("a", question.answer.id, 1, None)
    await services.close()


async def test_rates_are_events_a_second_however_long_the_store_takes() -> None:
    store = FlakyStore()
    world = World(store)
    services = await world.start()
    await services.catalogue.add_application(application("a"))
    store.takes_s = 3.0
    for _ in range(600):
        world.ask()
        await asyncio.sleep(0.5)
    one, _, _ = services.metrics.applications["a"].rates.by_window
    assert one == pytest.approx(2.0, rel=0.1)
    await services.close()


async def test_drain_and_close_answer_what_was_admitted() -> None:
    world = World()
    services = await world.start()
    await services.catalogue.add_application(application("a", latency_slo_micros=5_000_000))
    await world.deploy("m:1")
    await services.catalogue.link("a", ["m"])
    world.behaviour("m:1").fixed_s = 0.2
    questions = [world.ask(b"%d" % number) for number in range(5)]
    await asyncio.sleep(0.1)
    await services.drain()
    await services.close()
    assert [question.value for question in questions] == list(range(5))
    assert world.running == []


async def test_a_daemon_can_be_closed_before_its_store_was_open() -> None:
    store = FlakyStore()
    store.takes_s = 3600.0
    world = World(store)
    services = await world.start()
    await services.close()
