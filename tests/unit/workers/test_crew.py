"""The crew: what one is told all are, what one learns all know, what they count is a sum."""

import asyncio

import pytest

from clipper.core.errors import DeployError, InvalidInput, UnknownQuery
from clipper.core.tasks import Tasks
from clipper.selection.exp3 import Exp3State
from clipper.serving.ids import QueryIds
from clipper.serving.replicas import BACKOFF_S, EXIT_GRACE_S
from clipper.state.memory import MemoryStore
from clipper.workers.crew import TELL_S
from clipper.workers.life import IDS, STEP_S
from tests.fakes.crew import CrewWorld
from tests.fakes.predicting import application
from tests.fakes.world import id_of

pytestmark = pytest.mark.looptime

PATIENT = {"latency_slo_micros": 10_000_000}


def now() -> float:
    return asyncio.get_running_loop().time()


async def serving(size: int = 2, **fields: object) -> CrewWorld:
    """An application that one version answers for, in every worker."""
    world = CrewWorld(size)
    await world.begin()
    await world.services.catalogue.add_application(application("a", **PATIENT, **fields))
    await world.deploy("m:1")
    await world.services.catalogue.link("a", ["m"])
    return world


async def test_a_change_is_served_by_everybody_when_it_is_acknowledged() -> None:
    world = await serving(3)
    assert now() < 1
    questions = [worker.ask() for worker in world.workers]
    await asyncio.sleep(0.1)
    assert [question.value for question in questions] == [1, 1, 1]
    await world.services.catalogue.delete_application("a")
    assert [worker.life.engine.predictor.snapshot for worker in world.workers] == [{}, {}, {}]
    await world.end()


async def test_who_does_not_answer_is_waited_for_a_second_and_knows_it_later() -> None:
    world = await serving()
    silent = world.workers[0]
    silent.to_worker.is_held = True
    began = now()
    await world.services.catalogue.add_application(application("b"))
    assert now() - began == pytest.approx(TELL_S, abs=0.01)
    assert "b" in world.workers[1].life.engine.predictor.snapshot
    silent.to_worker.release()
    await asyncio.sleep(0.01)
    assert "b" in silent.life.engine.predictor.snapshot
    await world.end()


async def test_who_joins_later_serves_all_that_the_others_do() -> None:
    world = await serving()
    await world.services.catalogue.scale(id_of("m:1"), 2)
    await asyncio.sleep(0.1)
    await world.workers[0].die()
    successor = await world.hire(1)
    assert successor.listener.is_serving
    assert successor.life.engine.layer.models[id_of("m:1")].live == 2
    question = successor.ask(b"7")
    await asyncio.sleep(0.1)
    assert question.value == 7
    await world.end()


async def test_who_has_no_replicas_yet_lets_nobody_in() -> None:
    world = await serving()
    world.behaviour("m:1").loading_s = 3.0
    await world.workers[0].die()
    successor = await world.hire(1)
    await asyncio.sleep(2)
    assert not successor.listener.is_serving
    assert world.crew.serving == 1
    await asyncio.sleep(2)
    assert successor.listener.is_serving
    assert world.crew.serving == 2
    await world.end()


async def test_a_replica_that_ends_while_a_worker_catches_up_is_not_asked_by_it() -> None:
    world = await serving()
    await world.services.catalogue.scale(id_of("m:1"), 2)
    await asyncio.sleep(0.1)
    await world.workers[0].die()
    store = MemoryStore(world.memory)
    await store.open()
    world.services.engine.ids = QueryIds(store.reserve)  # there are none for now
    successor = await world.hire(1)
    assert not successor.listener.is_serving
    await world.services.catalogue.scale(id_of("m:1"), 1)
    await asyncio.sleep(1)
    assert successor.listener.is_serving
    assert successor.life.engine.layer.models[id_of("m:1")].live == 1
    await world.end()


async def test_a_version_becomes_current_when_every_worker_can_ask_it() -> None:
    world = await serving()
    held = world.workers[1]
    held.to_worker.is_held = True
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:2"))
    await asyncio.sleep(0.5)
    assert world.services.catalogue.config.current == {"m": "1"}
    assert world.workers[0].life.engine.layer.models[id_of("m:2")].live == 1
    held.to_worker.release()
    await deploying
    for worker in world.workers:
        assert worker.life.engine.layer.models[id_of("m:2")].live == 1
        question = worker.ask()
        await asyncio.sleep(0.1)
        assert question.answer.models == (id_of("m:2"),)
    await world.end()


async def test_of_a_version_that_was_only_tried_out_no_worker_keeps_anything() -> None:
    world = await serving()
    before = [set(worker.life.engine.layer.models) for worker in world.workers]
    world.workers[1].to_worker.is_held = True
    tasks = Tasks()
    deploying = tasks.spawn("deploy", world.deploy("m:2", timeout_s=0.5), is_awaited=True)
    await asyncio.sleep(0.4)
    assert id_of("m:2") in world.workers[0].life.engine.layer.models
    with pytest.raises(DeployError, match="m:2#0 was not ready"):
        await deploying
    world.workers[1].to_worker.release()
    await asyncio.sleep(0.1)
    assert [set(worker.life.engine.layer.models) for worker in world.workers] == before
    assert [set(worker.life.engine.metrics.models) for worker in world.workers] == before
    assert world.running == ["m:1#0"]
    await world.end()


async def test_a_replica_that_breaks_off_for_one_worker_is_replaced_for_all() -> None:
    world = await serving()
    mains, *workers = [life for life in world.replicas.lives if life.is_connected]
    workers[0].break_off()
    await asyncio.sleep(EXIT_GRACE_S + 0.1)
    assert [worker.life.engine.layer.models[id_of("m:1")].live for worker in world.workers] == [
        0,
        0,
    ]
    assert world.services.ready() == ["Application 'a' has no live replica of m:1."]
    await asyncio.sleep(BACKOFF_S + 0.1)
    assert len(world.manager.started) == 2
    assert not mains.is_connected
    assert world.services.ready() == []
    (status,) = world.services.fleet.status(id_of("m:1"))
    assert (status.restarts, status.last_exit) == (1, "m:1#0 broke off its stream.")
    await world.end()


async def test_a_replica_stops_when_every_worker_has_its_last_batch() -> None:
    world = await serving()
    world.behaviour("m:1").fixed_s = 1.0
    questions = [worker.ask(b"%d" % n) for n, worker in enumerate(world.workers)]
    await asyncio.sleep(0.5)
    await world.services.catalogue.scale(id_of("m:1"), 0)
    assert world.running == ["m:1#0"]
    await asyncio.sleep(1)
    assert [question.value for question in questions] == [0, 1]
    assert world.running == []
    await world.end()


async def test_a_worker_that_dies_does_not_hold_up_a_stop() -> None:
    world = await serving()
    world.behaviour("m:1").hangs = True
    world.workers[0].ask()
    await asyncio.sleep(0.1)
    await world.services.catalogue.scale(id_of("m:1"), 0)
    await world.workers[0].die()
    await asyncio.sleep(0.1)
    assert world.running == []
    await world.end()


async def test_an_application_that_is_registered_again_has_nothing_of_the_first() -> None:
    world = await serving(policy="exp3")
    catalogue, (one, other) = world.services.catalogue, world.workers
    question = one.ask()
    await asyncio.sleep(0.1)
    other.to_worker.is_held = True  # it will hear of both changes at once
    await catalogue.delete_application("a")
    await catalogue.add_application(application("a", policy="exp3", **PATIENT))
    other.to_worker.release()
    await asyncio.sleep(0.1)
    with pytest.raises(UnknownQuery):
        await other.life.backend.feedback.by_query("a", question.answer.id, 1, None)
    figures = await world.services.figures()
    assert figures.metrics.applications["a"].predictions == 0
    await world.end()


async def test_feedback_reaches_who_answered_and_counts_once() -> None:
    world = await serving(policy="exp3", loss="absolute")
    one, other = world.workers
    question = one.ask()
    await asyncio.sleep(0.1)
    feedback = other.life.backend.feedback
    with pytest.raises(InvalidInput, match="was asked in context '0', not 'x'"):
        await feedback.by_query("a", question.answer.id, 1, "x")
    with pytest.raises(InvalidInput, match="is not a number") as refusal:
        await feedback.by_query("a", question.answer.id, "9" * 30, None)
    assert "zero_one" in refusal.value.hint
    assert await feedback.by_query("a", question.answer.id, 0.5, None)
    assert not await feedback.by_query("a", question.answer.id, 0.5, None)
    assert not await one.life.backend.feedback.by_query("a", question.answer.id, 0.5, None)
    figures = await world.services.figures()
    assert figures.metrics.applications["a"].feedbacks == 1
    await world.end()


@pytest.mark.parametrize("query_id", [5, IDS - 1, IDS + 5, 10 * IDS, 2**63, 2**70, -1])
async def test_feedback_for_a_query_that_nobody_remembers_is_refused(query_id: int) -> None:
    world = await serving(policy="exp3")
    for worker in world.workers:
        with pytest.raises(UnknownQuery, match=f"Query {query_id} of application 'a' is unknown"):
            await worker.life.backend.feedback.by_query("a", query_id, 1, None)
    await world.end()


async def test_what_a_dead_worker_answered_is_forgotten() -> None:
    world = await serving(policy="exp3")
    one, other = world.workers
    question = one.ask()
    await asyncio.sleep(0.1)
    await one.die()
    with pytest.raises(UnknownQuery):
        await other.life.backend.feedback.by_query("a", question.answer.id, 1, None)
    await world.end()


async def test_what_one_learns_all_know_when_it_is_acknowledged() -> None:
    world = await serving(policy="exp3")
    one, other = world.workers
    engines = [one.life.engine, other.life.engine, world.services.engine]
    for engine in engines:
        await engine.feedback.state("a", "ann")
    question = one.ask(context="ann")
    await asyncio.sleep(0.1)
    assert await one.life.backend.feedback.by_query("a", question.answer.id, 1, None)
    for engine in engines:
        state = await engine.feedback.state("a", "ann")
        assert isinstance(state, Exp3State)
        assert state.pulls == {"m:1": 1}
    await world.end()


async def test_numbers_are_sums_and_never_go_back() -> None:
    world = await serving()
    one, other = world.workers
    for number in range(5):
        one.ask(b"%d" % number)
        other.ask(b"%d" % (number + 100))
    await asyncio.sleep(1)

    async def counted() -> tuple[int, int, int]:
        figures = await world.services.figures()
        stats = figures.metrics.models[id_of("m:1")]
        (status,) = world.services.fleet.status(id_of("m:1"))
        assert status.figures is not None
        app = figures.metrics.applications["a"]
        return app.predictions, stats.predictions, status.figures.queries

    assert await counted() == (10, 10, 10)
    assert (await other.life.backend.figures()).metrics.applications["a"].predictions == 10
    await one.die()
    assert await counted() == (10, 10, 10)
    other.ask(b"1000")
    await asyncio.sleep(1)
    assert await counted() == (11, 11, 11)
    (await world.hire(1)).ask(b"1001")
    await asyncio.sleep(STEP_S + 0.1)
    assert await counted() == (12, 12, 12)
    await world.end()


async def test_ids_are_unique_among_workers_and_their_successors() -> None:
    world = await serving()
    ids = [worker.ask(b"7").query.id for worker in world.workers for _ in range(3)]
    await world.workers[0].die()
    successor = await world.hire(1)
    ids += [successor.ask(b"7").query.id for _ in range(3)]
    assert len(set(ids)) == 9
    assert len({id // IDS for id in ids}) == 3
    ids_of = successor.life.engine.ids
    ids_of.next += IDS - 10
    await asyncio.sleep(STEP_S + 0.1)
    later = [successor.ask(b"8").query.id for _ in range(20)]
    assert len(set(ids + later)) == 29
    assert {world.crew.owner(id) for id in later} == {successor.worker}
    await world.end()


async def test_one_takes_the_connections_of_those_who_are_missing() -> None:
    world = await serving(3)
    one, two, three = world.workers
    assert [worker.listener.covered for worker in world.workers] == [[], [], []]
    await two.die()
    await asyncio.sleep(0.01)
    assert (one.listener.covered, three.listener.covered) == ([2], [])
    assert world.crew.serving == 2
    await one.die()
    await asyncio.sleep(0.01)
    assert three.listener.covered == [1, 2]
    assert world.services.ready() == await three.life.backend.readiness() == []
    successor = await world.hire(2)
    assert (three.listener.covered, successor.listener.covered) == ([1], [])
    await world.hire(1)
    assert three.listener.covered == []
    await world.end()


async def test_it_is_not_ready_before_the_workers_know_what_to_serve() -> None:
    world = CrewWorld(1)
    worker = await world.hire(1)
    worker.to_worker.is_held = True
    tasks = Tasks()
    tasks.spawn("start", world.start())
    await asyncio.sleep(0.5)
    assert world.services.ready() == ["The workers are being told what to serve."]
    worker.to_worker.release()
    await asyncio.sleep(0.5)
    assert world.services.ready() == []
    await world.end()


async def test_it_is_not_ready_without_any_worker() -> None:
    world = await serving()
    for worker in world.workers:
        await worker.die()
    await asyncio.sleep(0.01)
    assert world.services.ready() == ["The workers are being started."]
    successor = await world.hire(1)
    assert await successor.life.backend.readiness() == []
    await world.end()


async def test_it_is_not_ready_while_a_model_has_no_replica_whichever_worker_is_asked() -> None:
    world = await serving()
    world.manager.started[-1].end(1, "exited with code 1")
    await asyncio.sleep(0.01)
    for worker in world.workers:
        reasons = await worker.life.backend.readiness()
        assert reasons == ["Application 'a' has no live replica of m:1."]
    await world.end()


async def test_before_the_store_is_there_workers_serve_and_know_nothing() -> None:
    world = CrewWorld()
    for number in (1, 2):
        await world.hire(number)
    assert all(worker.listener.is_serving for worker in world.workers)
    assert not any(worker.life.engine.predictor.is_loaded for worker in world.workers)
    await world.start()
    await asyncio.sleep(1)
    assert all(worker.life.engine.predictor.is_loaded for worker in world.workers)
    await world.end()


async def test_without_its_store_a_successor_serves_what_the_others_do() -> None:
    world = await serving()
    await world.services._store.close()
    await world.workers[0].die()
    successor = await world.hire(1)
    question = successor.ask(b"7")
    await asyncio.sleep(0.1)
    assert question.value == 7
    await world.end()


async def test_at_the_end_everybody_is_told_to_leave() -> None:
    world = await serving()
    await world.services.close()
    await asyncio.sleep(0.1)
    assert [worker.running.result() for worker in world.workers] == [True, True]
    assert world.running == []
    await world.end()


async def test_a_worker_whose_main_process_is_gone_knows_that_it_is_an_orphan() -> None:
    world = await serving()
    world.workers[0].to_worker.close()
    await asyncio.sleep(0.1)
    assert world.workers[0].running.result() is False
    assert not world.workers[1].running.done()
    await world.end()
