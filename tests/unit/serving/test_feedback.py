"""Feedback: joined with its prediction, learned once, or refused without a trace."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from clipper.abstraction.layer import Limits, ServedModel
from clipper.core.errors import (
    InvalidInput,
    QueueFull,
    StateError,
    UnknownApplication,
    UnknownQuery,
)
from clipper.core.outputs import output_of
from clipper.core.tasks import Tasks
from clipper.core.types import Input
from clipper.selection.exp3 import Exp3State
from clipper.state.memory import Memory, MemoryStore
from tests.fakes.predicting import Question, Rig, application, configuration
from tests.fakes.replica import Behaviour

pytestmark = pytest.mark.looptime

APPS = [
    application("a", "m", "n", policy="exp3"),
    application("lone", "m"),
    application("empty", policy="exp3"),
    application("numbers", "m", policy="exp3", loss="absolute"),
]
MODELS = ["m:1", "n:1"]
CONFIG = configuration(APPS, MODELS)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def store(memory: Memory) -> MemoryStore:
    store = MemoryStore(memory)
    await store.open()
    return store


@pytest.fixture
async def rig(store: MemoryStore) -> AsyncIterator[Rig]:
    rig = Rig(store)
    rig.serve(CONFIG)
    yield rig
    await rig.close()


def served(rig: Rig, model: str) -> ServedModel:
    return next(found for id, found in rig.layer.models.items() if str(id) == model)


async def answered(rig: Rig, data: bytes = b"1", app: str = "a", context: str = "") -> Question:
    """A query that a model answered."""
    for model in ("m:1", "n:1"):
        if not served(rig, model).live:
            await rig.start(model)
    question = rig.ask(data, app, context=context)
    await asyncio.sleep(0.05)
    assert not question.answer.explanation
    return question


async def learned(rig: Rig, app: str = "a", context: str = "0") -> Exp3State:
    state = await rig.feedback.state(app, context)
    assert isinstance(state, Exp3State)
    return state


async def test_the_truth_about_a_query_is_learned_for_the_model_that_answered(rig: Rig) -> None:
    question = await answered(rig)
    (model,) = question.answer.models
    assert await rig.feedback.by_query("a", question.answer.id, 0, None)
    state = await learned(rig)
    assert state.pulls == {str(model): 1}
    assert state.losses == {str(model): 1.0}
    assert rig.stats().feedbacks == 1


async def test_what_is_told_twice_counts_once(rig: Rig) -> None:
    question = await answered(rig)
    told = [await rig.feedback.by_query("a", question.answer.id, 1, None) for _ in range(3)]
    assert told == [True, False, False]
    assert sum((await learned(rig)).pulls.values()) == 1
    assert rig.stats().feedbacks == 1


async def test_what_is_told_twice_at_once_counts_once(rig: Rig) -> None:
    question = await answered(rig)
    telling = (rig.feedback.by_query("a", question.answer.id, 1, None) for _ in range(10))
    assert sorted(await asyncio.gather(*telling)) == [False] * 9 + [True]
    assert sum((await learned(rig)).pulls.values()) == 1


async def test_feedback_goes_to_the_context_of_the_query(rig: Rig) -> None:
    question = await answered(rig, context="u")
    await rig.feedback.by_query("a", question.answer.id, 1, None)
    assert sum((await learned(rig, context="u")).pulls.values()) == 1
    assert (await learned(rig)).pulls == {}


@pytest.mark.parametrize(
    ("asked", "told"), [("", None), ("", "0"), ("", ""), ("u", "u"), ("u", None)]
)
async def test_the_querys_own_context_may_be_named(rig: Rig, asked: str, told: str | None) -> None:
    question = await answered(rig, context=asked)
    assert await rig.feedback.by_query("a", question.answer.id, 1, told)


@pytest.mark.parametrize(("asked", "told"), [("u", "v"), ("u", "0"), ("u", ""), ("", "u")])
async def test_another_context_is_refused(rig: Rig, asked: str, told: str) -> None:
    question = await answered(rig, context=asked)
    with pytest.raises(InvalidInput, match="was asked in context"):
        await rig.feedback.by_query("a", question.answer.id, 1, told)
    assert await rig.feedback.by_query("a", question.answer.id, 1, None), "nothing was used up"


async def test_an_unknown_query_is_refused(rig: Rig, memory: Memory) -> None:
    question = await answered(rig)
    for query_id in (-1, question.answer.id + 1, 2**63):
        with pytest.raises(UnknownQuery, match=f"Query {query_id} of application 'a' is unknown"):
            await rig.feedback.by_query("a", query_id, 1, None)
    assert memory.cells == {}


async def test_a_query_of_another_application_is_unknown(rig: Rig) -> None:
    question = await answered(rig)
    with pytest.raises(UnknownQuery):
        await rig.feedback.by_query("lone", question.answer.id, 1, None)


async def test_an_unknown_application_is_refused(rig: Rig) -> None:
    with pytest.raises(UnknownApplication, match="No application with name 'x' exists"):
        await rig.feedback.by_query("x", 0, 1, None)
    with pytest.raises(UnknownApplication):
        await rig.feedback.by_input("x", Input(b"1"), 1, None)
    with pytest.raises(UnknownApplication):
        await rig.feedback.state("x", "0")


@pytest.mark.parametrize("label", ["x", None, [1], 1e300, -5, 10**400, True])
async def test_a_label_that_cannot_be_judged_changes_nothing(
    rig: Rig, memory: Memory, label: object
) -> None:
    question = await answered(rig, app="numbers")
    with pytest.raises(InvalidInput):
        await rig.feedback.by_query("numbers", question.answer.id, label, None)
    assert memory.cells == {}
    assert rig.stats("numbers").feedbacks == 0
    assert await rig.feedback.by_query("numbers", question.answer.id, 0.5, None)


async def test_from_a_default_is_learned_that_the_model_gave_no_output(rig: Rig) -> None:
    question = rig.ask(b"1", context="0")
    await asyncio.sleep(0.01)
    assert question.answer.explanation
    assert await rig.feedback.by_query("a", question.answer.id, 1, None)
    state = await rig.feedback.state("a", "0")
    assert list(state.losses.values()) == [1.0]


async def test_from_a_version_that_was_asked_for_nothing_is_learned(rig: Rig) -> None:
    await rig.start("m:1")
    question = rig.ask(b"1", version="1")
    await asyncio.sleep(0.05)
    assert not question.answer.explanation
    assert not await rig.feedback.by_query("a", question.answer.id, 1, None)


async def test_where_the_policy_learns_nothing_feedback_is_counted_only(rig: Rig) -> None:
    question = await answered(rig, app="lone")
    assert not await rig.feedback.by_query("lone", question.answer.id, 1, None)
    assert not await rig.feedback.by_input("lone", Input(b"1"), 1, None)
    assert await rig.feedback.state("lone", "0") is None
    assert rig.stats("lone").feedbacks == 2


async def test_where_the_store_is_away_nothing_was_learned_and_it_may_be_told_again(
    rig: Rig, store: MemoryStore
) -> None:
    question = await answered(rig)
    await store.close()
    with pytest.raises(StateError):
        await rig.feedback.by_query("a", question.answer.id, 0, None)
    await store.open()
    assert (await learned(rig)).pulls == {}
    assert await rig.feedback.by_query("a", question.answer.id, 0, None)
    assert rig.stats().feedbacks == 1


async def test_feedback_about_an_input_asks_the_model_where_the_cache_does_not_know(
    rig: Rig,
) -> None:
    replicas = [await rig.start("m:1"), await rig.start("n:1")]
    assert await rig.feedback.by_input("a", Input(b"1"), 0, "u")
    assert sum(len(replica.batches) for replica in replicas) == 1
    assert sum((await learned(rig, context="u")).losses.values()) == 1.0


async def test_feedback_about_a_cached_input_asks_nobody(rig: Rig) -> None:
    await answered(rig, b"1", app="numbers")
    assert await rig.feedback.by_input("numbers", Input(b"1"), 0.5, None)
    assert served(rig, "m:1").stats.batches == 1


async def test_the_same_input_may_be_told_about_again(rig: Rig) -> None:
    await rig.start("m:1")
    for _ in range(2):
        assert await rig.feedback.by_input("numbers", Input(b"1"), 0.5, None)
    assert (await learned(rig, "numbers")).pulls == {"m:1": 2}


async def test_an_input_that_no_model_answers_in_time_teaches_nothing(rig: Rig) -> None:
    assert not await rig.feedback.by_input("a", Input(b"1"), 0, None)
    assert not await rig.feedback.by_input("empty", Input(b"1"), 0, None)


@pytest.mark.parametrize("behaviour", [Behaviour(hangs=True), Behaviour(poison={b"1"})])
async def test_an_input_on_which_the_model_fails_costs_as_much_as_a_wrong_output(
    rig: Rig, behaviour: Behaviour
) -> None:
    await rig.start("m:1", behaviour)
    assert await rig.feedback.by_input("numbers", Input(b"1"), 0, None)
    assert (await learned(rig, "numbers")).losses == {"m:1": 1.0}


@pytest.mark.parametrize("wild", [57.0, "x", None, ["x"]])
async def test_an_output_that_cannot_be_judged_costs_as_much_as_a_wrong_one(
    rig: Rig, wild: object
) -> None:
    await rig.start("m:1", Behaviour(answer=lambda _: output_of(wild)))
    question = rig.ask(b"1", "numbers")
    await asyncio.sleep(0.05)
    for label in (58.5, 1.01, 1e11, "x", [0.2, 7]):
        with pytest.raises(InvalidInput):
            await rig.feedback.by_query("numbers", question.answer.id, label, None)
    assert await rig.feedback.by_query("numbers", question.answer.id, 0.2, None)
    assert (await learned(rig, "numbers")).losses == {"m:1": 1.0}


async def test_the_shape_of_an_output_is_to_blame_once_labels_of_that_shape_were_right(
    rig: Rig,
) -> None:
    behaviour = Behaviour(answer=lambda _: output_of([0.5, 0.5]))
    await rig.start("m:1", behaviour)
    with pytest.raises(InvalidInput, match="not a number"):
        await rig.feedback.by_input("numbers", Input(b"1"), 0.2, None)
    behaviour.answer = lambda _: output_of(0.5)
    assert await rig.feedback.by_input("numbers", Input(b"2"), 0.2, None)
    rig.serve(CONFIG)  # whatever else is changed
    assert await rig.feedback.by_input("numbers", Input(b"1"), 0.2, None)
    assert (await learned(rig, "numbers")).losses == {"m:1": pytest.approx(1.3)}


async def test_a_label_out_of_range_that_was_near_enough_excuses_no_other(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(answer=lambda _: output_of(0.9)))
    assert await rig.feedback.by_input("numbers", Input(b"1"), 1.01, None)
    for label in (2.5, 1e11):
        with pytest.raises(InvalidInput):
            await rig.feedback.by_input("numbers", Input(b"1"), label, None)


async def test_of_many_outputs_one_that_cannot_be_judged_keeps_nobody_from_learning(
    rig: Rig,
) -> None:
    rig.serve(configuration([application("all", "m", "n", policy="exp4", loss="log")], MODELS))
    await rig.start("m:1", Behaviour(answer=lambda _: output_of([1.0, 0.0])))
    await rig.start("n:1", Behaviour(answer=lambda _: output_of("sure")))
    for label in (2, "x"):
        with pytest.raises(InvalidInput):
            await rig.feedback.by_input("all", Input(b"1"), label, None)
    assert await rig.feedback.by_input("all", Input(b"1"), 0, None)
    assert (await rig.feedback.state("all", "0")).losses == {"m:1": 0.0, "n:1": 1.0}


async def test_who_has_not_heard_of_another_policy_teaches_it_nothing(store: MemoryStore) -> None:
    app = application("a", "m", policy="exp3", registered=1)
    old, new = Rig(store), Rig(store)
    for rig in (old, new):
        rig.serve(configuration([app], ["m:1"]))
        await rig.start("m:1")
    question = old.ask()
    await asyncio.sleep(0.05)
    new.serve(configuration([replace(app, policy="exp4", registered=2)], ["m:1"]))
    assert await new.feedback.by_input("a", Input(b"1"), 0, None)
    assert await old.feedback.by_query("a", question.answer.id, 0, None)
    assert await old.feedback.by_input("a", Input(b"1"), 0, None)
    state = await new.feedback.state("a", "0")
    assert (state.feedbacks, state.losses) == ({"m:1": 1}, {"m:1": 1.0})
    for rig in (old, new):
        await rig.close()


async def test_feedback_that_there_is_no_room_for_is_refused(store: MemoryStore) -> None:
    rig = Rig(store, Limits(queue=1))
    rig.serve(configuration([application("a", "m", policy="exp3", on_overload="reject")], ["m:1"]))
    await rig.start("m:1", Behaviour(fixed_s=1.0))
    await rig.feedback.state("a", "0")
    rig.ask(b"1")
    await asyncio.sleep(0.01)
    rig.ask(b"2")
    for context in (None, "a context that is not in memory"):
        with pytest.raises(QueueFull):
            await rig.feedback.by_input("a", Input(b"3"), 0, context)
    await rig.predictor.drain()
    assert rig.predictor.active == 0
    await rig.close()


async def test_feedback_cancelled_in_the_moment_of_its_answer_hurts_nobody(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(fixed_s=0.05))
    tasks = Tasks()
    other = rig.ask(b"1", "lone")
    await asyncio.sleep(0.01)
    telling = tasks.spawn("tell", rig.feedback.by_input("numbers", Input(b"1"), 0, None))
    asyncio.get_running_loop().call_later(0.04, telling.cancel)
    await asyncio.sleep(0.1)
    assert telling.cancelled()
    assert other.value == 1
    assert rig.predictor.active == 0
    assert served(rig, "m:1").live == 1


async def test_learning_moves_the_choice(rig: Rig) -> None:
    await rig.start("m:1")
    await rig.start("n:1")
    chosen = []
    for number in range(400):
        question = rig.ask(b"%d" % number)
        await asyncio.sleep(0.05)
        (model,) = question.answer.models
        chosen.append(model.name)
        label = number if model.name == "n" else -1
        await rig.feedback.by_query("a", question.answer.id, label, None)
    assert 30 < chosen[:100].count("n") <= 100
    assert chosen[-100:].count("n") >= 90


async def test_what_one_context_learns_is_nothing_to_another(rig: Rig) -> None:
    await rig.start("m:1")
    await rig.start("n:1")
    for number in range(100):
        question = rig.ask(b"%d" % number, context="u")
        await asyncio.sleep(0.05)
        label = number if question.answer.models[0].name == "n" else -1
        await rig.feedback.by_query("a", question.answer.id, label, None)
    policy = rig.predictor.snapshot["a"].policy
    models = tuple(rig.predictor.snapshot["a"].models)
    own, others = await learned(rig, context="u"), await learned(rig)
    assert policy.select(own, models, 0.5).models == (models[1],)
    assert policy.select(others, models, 0.49).models == (models[0],)


async def test_a_query_of_a_deleted_application_teaches_nothing_to_its_namesake(
    rig: Rig, memory: Memory
) -> None:
    question = await answered(rig)
    rig.journal.forget("a")
    with pytest.raises(UnknownQuery):
        await rig.feedback.by_query("a", question.answer.id, 1, None)
    assert memory.cells == {}
