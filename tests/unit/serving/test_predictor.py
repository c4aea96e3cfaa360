"""Prediction: by the deadline at the latest, once, with the reason where the default answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clipper.abstraction.layer import Limits
from clipper.core.errors import InvalidInput, QueueFull, ReplicaFailed, StateError
from clipper.core.metrics import APPLICATION_OUTCOMES
from clipper.core.tasks import Tasks
from clipper.core.types import ModelId
from clipper.selection.exp3 import Exp3, Exp3State
from clipper.selection.policy import State
from clipper.serving.query import Query
from clipper.state.memory import MemoryStore
from clipper.state.store import Cell
from tests.fakes.predicting import SLO_S, Rig, application, configuration
from tests.fakes.replica import Behaviour, FakeReplica

pytestmark = pytest.mark.looptime

NO_MODELS = "No connected models found for query"
LATE = "Failed to retrieve a prediction response within the specified latency SLO"
SLOW = Behaviour(fixed_s=1.0)
SINGLE = configuration([application("a", "m")], ["m:1"])
EXP3 = configuration([application("a", "m", "n", policy="exp3")], ["m:1", "n:1"])


class SlowStore(MemoryStore):
    """Takes its time, or does not answer at all."""

    takes_s = 0.01
    is_down = False

    async def get(self, key: str) -> Cell | None:
        await asyncio.sleep(self.takes_s)
        if self.is_down:
            raise StateError("The store is away.")
        return await super().get(key)


@pytest.fixture
async def store() -> SlowStore:
    store = SlowStore()
    await store.open()
    return store


@pytest.fixture
async def rig(store: SlowStore) -> AsyncIterator[Rig]:
    rig = Rig(store)
    yield rig
    await rig.close()


def counted(rig: Rig) -> dict[str, int]:
    """What is not zero of an application's outcomes."""
    counts = {outcome: getattr(rig.stats(), outcome) for outcome in APPLICATION_OUTCOMES}
    return {outcome: count for outcome, count in counts.items() if count}


async def test_a_model_that_is_in_time_answers(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1")
    question = rig.ask(b"7")
    await asyncio.sleep(0.02)
    answer = question.answer
    assert (answer.output.value, answer.explanation, answer.confidence) == (7, "", 1.0)
    assert answer.models == (ModelId("m", "1"),)
    assert answer.latency_s == pytest.approx(0.01)
    assert counted(rig) == {"answered": 1}
    assert rig.predictor.active == 0


async def test_no_link_is_answered_at_once_with_the_default(rig: Rig) -> None:
    rig.serve(configuration([application("a")], ["m:1"]))
    answer = rig.ask().answer
    assert (answer.output.value, answer.explanation, answer.models) == (-1, NO_MODELS, ())
    assert counted(rig) == {"no_model": 1}


async def test_a_link_without_any_version_is_answered_like_no_link(rig: Rig) -> None:
    rig.serve(configuration([application("a", "m")], []))
    assert rig.ask().answer.explanation == NO_MODELS


async def test_no_live_replica_is_answered_at_once_with_the_default(rig: Rig) -> None:
    rig.serve(SINGLE)
    answer = rig.ask().answer
    assert answer.explanation == f"{NO_MODELS}: No replica of m:1 is ready."
    assert counted(rig) == {"no_model": 1}


async def test_a_late_model_is_answered_for_at_the_deadline(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", SLOW)
    question = rig.ask()
    await asyncio.sleep(SLO_S - 0.005)
    assert question.replies == []
    await asyncio.sleep(0.01)
    assert question.value == -1
    assert question.answer.explanation == LATE
    assert question.answer.latency_s == pytest.approx(SLO_S, abs=0.002)
    assert counted(rig) == {"late": 1}


async def test_a_late_output_is_there_when_the_same_is_asked_again(rig: Rig) -> None:
    rig.serve(SINGLE)
    replica = await rig.start("m:1", SLOW)
    first = rig.ask(b"7")
    await asyncio.sleep(2)
    again = rig.ask(b"7")
    assert (first.value, again.value) == (-1, 7)
    assert again.answer.cache == "exact"
    assert len(first.replies) == 1, "nothing is settled twice"
    assert len(replica.batches) == 1


async def test_a_query_may_have_a_tighter_deadline_of_its_own(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(fixed_s=0.03))
    patient, hasty = rig.ask(b"1"), rig.ask(b"2", slo_s=0.02)
    await asyncio.sleep(0.025)
    assert hasty.answer.explanation == LATE
    await asyncio.sleep(0.1)
    assert patient.value == 1


async def test_a_tighter_deadline_holds_also_right_after_another_query(rig: Rig) -> None:
    rig.serve(SINGLE)
    behaviour = Behaviour(fixed_s=0.001)
    await rig.start("m:1", behaviour)
    rig.ask(b"1")
    await asyncio.sleep(0.01)
    behaviour.fixed_s = 1.0
    hasty = rig.ask(b"2", slo_s=0.005)
    await asyncio.sleep(0.007)
    assert hasty.answer.explanation == LATE


async def test_a_deadline_that_has_passed_is_answered_at_once(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1")
    question = rig.ask(slo_s=-1.0)
    await asyncio.sleep(0.001)
    assert question.answer.explanation == LATE


async def test_what_waits_behind_a_slow_batch_never_reaches_the_replica(rig: Rig) -> None:
    rig.serve(SINGLE)
    replica = await rig.start("m:1", SLOW)
    rig.ask(b"1")
    await asyncio.sleep(0.01)
    waiting = rig.ask(b"2")
    await asyncio.sleep(3)
    assert waiting.answer.explanation == LATE
    assert replica.batches == [[b"1"]]


async def test_a_model_that_raises_says_why(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(poison={b"2"}))
    good, bad = rig.ask(b"1"), rig.ask(b"2")
    await asyncio.sleep(0.09)
    assert good.value == 1
    assert bad.value == -1
    assert bad.answer.explanation == "The model failed: ValueError: b'2'"
    assert counted(rig) == {"answered": 1, "model_failed": 1}


async def test_what_ends_two_replicas_is_answered_with_the_default(rig: Rig) -> None:
    rig.serve(SINGLE)
    for index in range(2):
        await rig.start("m:1", Behaviour(lethal={b"1"}), index)
    question = rig.ask(b"1")
    await asyncio.sleep(0.05)
    assert question.answer.explanation == f"{LATE}: m:1#1 broke off while it predicted this."
    assert counted(rig) == {"late": 1}


async def test_a_query_whose_replica_breaks_off_is_answered_by_another(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(lethal={b"1"}), 0)
    await rig.start("m:1", Behaviour(), 1)
    await asyncio.sleep(0)
    question = rig.ask(b"1")
    await asyncio.sleep(0.05)
    assert question.value == 1


async def test_overload_is_answered_with_the_default_by_default(store: SlowStore) -> None:
    rig = Rig(store, Limits(queue=1))
    rig.serve(SINGLE)
    await rig.start("m:1", SLOW)
    rig.ask(b"1")
    await asyncio.sleep(0.01)
    rig.ask(b"2")
    refused = rig.ask(b"3")
    assert refused.answer.explanation.startswith(f"{LATE}: The queue is full: 1 queries")
    assert counted(rig) == {"overloaded": 1}
    await rig.close()


async def test_overload_is_refused_where_the_application_wants_that(store: SlowStore) -> None:
    rig = Rig(store, Limits(queue=1))
    rig.serve(configuration([application("a", "m", on_overload="reject")], ["m:1"]))
    await rig.start("m:1", SLOW)
    rig.ask(b"1")
    await asyncio.sleep(0.01)
    waiting = rig.ask(b"2")
    refused = rig.question(b"3")
    rig.predictor.submit(refused.query)
    assert isinstance(refused.answer.error, QueueFull)
    await asyncio.sleep(2)
    assert len(waiting.replies) == 1
    assert counted(rig) == {"rejected": 1, "late": 2}
    assert rig.predictor.active == 0
    await rig.close()


async def test_joined_queries_are_each_answered_by_their_own_deadline(rig: Rig) -> None:
    rig.serve(SINGLE)
    replica = await rig.start("m:1", Behaviour(fixed_s=0.15))
    early = rig.ask()
    await asyncio.sleep(0.08)
    late = rig.ask()
    await asyncio.sleep(0.1)
    assert early.answer.explanation == LATE
    assert late.value == 1
    assert len(replica.batches) == 1


async def test_a_cancelled_query_is_not_answered_and_not_computed(rig: Rig) -> None:
    rig.serve(SINGLE)
    replica = await rig.start("m:1", Behaviour(fixed_s=0.01))
    rig.ask(b"1")
    await asyncio.sleep(0.005)
    leaver, stayer = rig.ask(b"2"), rig.ask(b"3")
    rig.predictor.cancel(leaver.query)
    rig.predictor.cancel(leaver.query)
    await asyncio.sleep(1)
    assert leaver.replies == []
    assert stayer.value == 3
    assert replica.batches == [[b"1"], [b"3"]]
    assert counted(rig) == {"answered": 2, "cancelled": 1}
    assert rig.predictor.active == 0


async def test_a_query_cancelled_in_a_batch_does_not_hurt_its_neighbours(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(fixed_s=0.05))
    first = rig.ask(b"0")
    await asyncio.sleep(0.06)
    questions = [rig.ask(b"%d" % number) for number in range(1, 4)]
    await asyncio.sleep(0.01)
    rig.predictor.cancel(questions[1].query)
    await asyncio.sleep(0.2)
    assert [question.replies != [] for question in (first, *questions)] == [True, True, False, True]
    assert counted(rig) == {"answered": 3, "cancelled": 1}


async def test_to_cancel_what_was_answered_changes_nothing(rig: Rig) -> None:
    rig.serve(SINGLE)
    question = rig.ask()
    rig.predictor.cancel(question.query)
    assert counted(rig) == {"no_model": 1}
    assert rig.predictor.active == 0


async def test_to_cancel_what_was_never_submitted_changes_nothing(rig: Rig) -> None:
    rig.serve(SINGLE)
    rig.predictor.cancel(rig.question().query)
    assert counted(rig) == {}
    assert rig.predictor.active == 0


async def test_a_version_that_was_asked_for_answers_instead_of_the_current(rig: Rig) -> None:
    rig.serve(configuration([application("a", "m")], ["m:1", "m:2"]))
    old, new = await rig.start("m:1"), await rig.start("m:2")
    questions = [rig.ask(b"1", version=version) for version in ("1", "2", None)]
    await asyncio.sleep(0.05)
    assert [question.answer.models[0].version for question in questions] == ["1", "2", "2"]
    assert (old.batches, new.batches) == ([[b"1"]], [[b"1"]])


async def test_a_version_that_does_not_exist_is_refused_before_anything_is_counted(
    rig: Rig,
) -> None:
    rig.serve(SINGLE)
    question = rig.question(version="9")
    with pytest.raises(InvalidInput, match="Requested version: 9 does not exist for model: m"):
        rig.predictor.submit(question.query)
    assert counted(rig) == {}
    assert rig.predictor.active == 0


async def test_a_version_of_an_application_without_a_link_is_answered_with_the_default(
    rig: Rig,
) -> None:
    rig.serve(configuration([application("a")], ["m:1"]))
    assert rig.ask(version="1").answer.explanation == NO_MODELS


async def test_ids_are_unique_also_among_defaults(rig: Rig) -> None:
    rig.serve(SINGLE)
    ids = {rig.ask().answer.id for _ in range(10)}
    assert len(ids) == 10


async def test_a_deleted_model_answers_what_waits_with_the_default(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(fixed_s=0.05))
    in_hand = rig.ask(b"1")
    await asyncio.sleep(0.01)
    waiting = rig.ask(b"2")
    rig.serve(configuration([application("a", "m")], []))
    rig.layer.remove(ModelId("m", "1"))
    assert waiting.answer.explanation == f"{NO_MODELS}: m:1 was deleted."
    assert rig.ask(b"3").answer.explanation == NO_MODELS
    await asyncio.sleep(0.2)
    assert in_hand.value == 1


async def test_drain_waits_for_what_is_in_flight(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(fixed_s=0.05))
    question = rig.ask()
    await rig.predictor.drain()
    assert question.value == 1
    await rig.predictor.drain()


async def test_drain_waits_for_those_that_will_only_expire(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(hangs=True))
    question = rig.ask()
    await rig.predictor.drain()
    assert question.answer.explanation == LATE


async def test_two_may_wait_for_the_drain(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(fixed_s=0.05))
    rig.ask()
    async with asyncio.timeout(1):
        await asyncio.gather(rig.predictor.drain(), rig.predictor.drain())


async def test_the_timing_says_where_the_time_went(rig: Rig) -> None:
    rig.serve(SINGLE)
    await rig.start("m:1", Behaviour(fixed_s=0.03))
    timings: list[dict[str, Any]] = []

    def reply(query: Query) -> None:
        timings.append(query.timing())

    await asyncio.sleep(1)
    rig.ask(b"1")
    await asyncio.sleep(0.01)
    for data in (b"2", b"3", b"1"):
        question = rig.question(data)
        question.query.reply = reply
        rig.predictor.submit(question.query)
    await asyncio.sleep(0.09)
    joined, second, third = timings
    alone = {"batch_size": 1, "batch_limit": 1, "batch_ended_by": "limit"}
    both = {"batch_size": 2, "batch_limit": 3, "batch_ended_by": "queue_empty"}
    assert joined == {"total_ms": 20.0, "queue_ms": 0.0, **alone}
    assert second == third == {"total_ms": 50.0, "queue_ms": 20.0, **both}


async def test_exp3_asks_one_of_the_models_and_notes_whom(rig: Rig) -> None:
    rig.serve(EXP3)
    replicas = [await rig.start("m:1"), await rig.start("n:1")]
    questions = [rig.ask(b"%d" % number) for number in range(50)]
    await asyncio.sleep(0.09)
    by_model = {
        model: sum(question.answer.models == (model,) for question in questions)
        for model in (ModelId("m", "1"), ModelId("n", "1"))
    }
    assert sum(by_model.values()) == 50
    assert all(10 < count < 40 for count in by_model.values())
    sent = [sum(map(len, replica.batches)) for replica in replicas]
    assert sent == list(by_model.values())


async def test_exp3_asks_no_model_without_a_live_replica_while_there_is_another(rig: Rig) -> None:
    rig.serve(EXP3)
    await rig.start("n:1")
    questions = [rig.ask(b"%d" % number) for number in range(20)]
    await asyncio.sleep(0.09)
    assert {question.answer.models for question in questions} == {(ModelId("n", "1"),)}
    assert counted(rig) == {"answered": 20}


async def test_a_context_that_is_not_in_memory_is_loaded_while_the_query_waits(
    rig: Rig, store: SlowStore
) -> None:
    sure = Exp3State(log_weights={"m:1": -7.0, "n:1": 0.0})

    def learn(state: State) -> State:
        return sure

    rig.serve(EXP3)
    await rig.states.update(rig.predictor.snapshot["a"].key, "u", Exp3(), learn)
    restarted = Rig(store)
    restarted.serve(EXP3)
    await restarted.start("m:1")
    await restarted.start("n:1")
    questions = [restarted.ask(b"%d" % number, context="u") for number in range(20)]
    await asyncio.sleep(0.09)
    chosen = [question.answer.models[0].name for question in questions]
    assert chosen.count("n") >= 19
    assert questions[0].answer.latency_s == pytest.approx(0.02)
    await restarted.close()


async def test_where_the_store_is_away_a_fresh_context_serves(rig: Rig, store: SlowStore) -> None:
    store.is_down = True
    rig.serve(EXP3)
    await rig.start("m:1")
    await rig.start("n:1")
    question = rig.ask(b"1", context="u")
    await asyncio.sleep(0.09)
    assert question.value == 1


async def test_a_store_that_hangs_costs_no_query_its_deadline(rig: Rig, store: SlowStore) -> None:
    store.takes_s = 3600.0
    rig.serve(EXP3)
    await rig.start("m:1")
    await rig.start("n:1")
    question = rig.ask(b"1", context="u")
    await asyncio.sleep(SLO_S + 0.01)
    assert question.value == 1, "what a fresh context knows has to do"
    assert counted(rig) == {"answered": 1}


async def test_a_query_cancelled_while_its_context_loads_asks_nobody(rig: Rig) -> None:
    rig.serve(EXP3)
    replicas = [await rig.start("m:1"), await rig.start("n:1")]
    question = rig.ask(b"1", context="u")
    await asyncio.sleep(0.005)
    rig.predictor.cancel(question.query)
    await asyncio.sleep(1)
    assert question.replies == []
    assert [replica.batches for replica in replicas] == [[], []]
    assert counted(rig) == {"cancelled": 1}


async def test_overload_after_the_context_was_loaded_is_refused_by_the_reply(
    store: SlowStore,
) -> None:
    rig = Rig(store, Limits(queue=1))
    app = application("a", "m", policy="exp3", on_overload="reject")
    rig.serve(configuration([app], ["m:1"]))
    await rig.start("m:1", SLOW)
    first = rig.ask(b"1", context="u")
    await asyncio.sleep(0.02)
    others = [rig.ask(data, context="v") for data in (b"2", b"3")]
    await asyncio.sleep(1)
    assert first.answer.explanation == LATE
    assert others[0].answer.error is None
    assert isinstance(others[1].answer.error, QueueFull)
    assert counted(rig) == {"late": 2, "rejected": 1}
    assert rig.predictor.active == 0
    await rig.close()


async def test_every_query_of_a_storm_is_answered_exactly_once(store: SlowStore) -> None:
    rig = Rig(store, Limits(queue=20))
    rig.serve(SINGLE)
    behaviour = Behaviour(fixed_s=0.03, poison={b"3"}, lethal={b"7"})
    tasks = Tasks()

    async def keep_alive() -> None:
        served = rig.layer.models[ModelId("m", "1")]
        while True:
            with contextlib.suppress(ReplicaFailed):
                await served.serve(served.dispatcher(FakeReplica(behaviour)))

    tasks.spawn("keep alive", keep_alive())
    questions = []
    for number in range(500):
        questions.append(rig.ask(b"%d" % (number % 40)))
        if number % 5 == 0:
            rig.predictor.cancel(questions[number // 2].query)
        await asyncio.sleep(0.003)
    await rig.predictor.drain()
    await tasks.cancel()
    replies = [len(question.replies) for question in questions]
    stats = rig.stats()
    assert set(replies) <= {0, 1}
    assert replies.count(0) == stats.cancelled
    assert stats.predictions + stats.cancelled == 500
    assert stats.answered > 100
    assert "in_flight=0" in repr(rig.layer.models[ModelId("m", "1")])
    await rig.close()
