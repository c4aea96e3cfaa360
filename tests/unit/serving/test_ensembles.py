"""Ensembles through the predictor: all models asked, and one answer from what came in time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from clipper.core.outputs import output_of
from clipper.core.types import Input, ModelId, Output
from clipper.state.memory import MemoryStore
from tests.fakes.predicting import SLO_S, Rig, application, configuration
from tests.fakes.replica import Behaviour

pytestmark = pytest.mark.looptime

NAMES = ("a", "b", "c")


def always(value: Any) -> Callable[[Input], Output]:
    return lambda _: output_of(value)


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.open()
    return store


@pytest.fixture
async def rig(store: MemoryStore) -> AsyncIterator[Rig]:
    rig = Rig(store)
    yield rig
    await rig.close()


async def serve(
    rig: Rig, policy: str, *values: Any, slow: str = "", **fields: Any
) -> dict[str, Behaviour]:
    """Models that always give these outputs behind application `a`."""
    app = application("a", *NAMES, policy=policy, **fields)
    rig.serve(configuration([app], [f"{name}:1" for name in NAMES]))
    behaviours = {}
    for name, value in zip(NAMES, values, strict=True):
        fixed_s = 2 * SLO_S if name == slow else 0.01
        behaviours[name] = Behaviour(fixed_s=fixed_s, answer=always(value))
        await rig.start(f"{name}:1", behaviours[name])
    return behaviours


async def test_the_answer_is_what_most_models_say(rig: Rig) -> None:
    await serve(rig, "majority", "cat", "dog", "dog")
    question = rig.ask()
    await rig.predictor.drain()
    answer = question.answer
    assert question.value == "dog"
    assert answer.confidence == pytest.approx(2 / 3)
    assert set(answer.models) == {ModelId(name, "1") for name in NAMES}
    assert answer.latency_s < 0.02, "nobody waits when all have answered"


async def test_who_is_late_is_not_waited_for_and_costs_confidence(rig: Rig) -> None:
    await serve(rig, "majority", "cat", "dog", "dog", slow="c")
    question = rig.ask()
    await rig.predictor.drain()
    assert question.value == "cat"
    assert question.answer.confidence == pytest.approx(1 / 3)
    assert question.answer.latency_s == pytest.approx(SLO_S, abs=0.002)
    assert question.answer.models == (ModelId("a", "1"), ModelId("b", "1"))


async def test_where_the_loss_is_a_distance_numbers_are_averaged(rig: Rig) -> None:
    params = {"weights": {"a": 2}}
    await serve(rig, "static", 1.0, 2.0, 3.0, loss="absolute", policy_params=params)
    question = rig.ask()
    await rig.predictor.drain()
    assert question.value == pytest.approx((2 * 1.0 + 2.0 + 3.0) / 4)
    assert question.answer.confidence == 1.0


async def test_an_ensemble_learns_from_feedback_who_is_right(rig: Rig) -> None:
    await serve(rig, "exp4", "cat", "dog", "dog")
    for number in range(20):
        question = rig.ask(b"%d" % number, context="ann")
        await rig.predictor.drain()
        assert await rig.feedback.by_query("a", question.answer.id, "cat", None)
    answers = [rig.ask(b"new", context=context) for context in ("ann", "bob")]
    await rig.predictor.drain()
    assert [question.value for question in answers] == ["cat", "dog"]


async def test_no_output_costs_as_much_as_a_wrong_one(rig: Rig) -> None:
    await serve(rig, "exp4", "cat", "dog", "dog", slow="c")
    question = rig.ask()
    await rig.predictor.drain()
    assert await rig.feedback.by_query("a", question.answer.id, "cat", None)
    state = await rig.feedback.state("a", "0")
    assert state.losses == {"a:1": 0.0, "b:1": 1.0, "c:1": 1.0}


async def test_who_was_asked_and_has_not_answered_is_named(rig: Rig) -> None:
    await serve(rig, "majority", "cat", "dog", "dog", slow="c")
    question = rig.ask()
    await rig.predictor.drain()
    assert question.answer.lacking == (ModelId("c", "1"),)


async def test_in_an_average_who_is_late_is_stood_in_for_by_what_it_usually_says(rig: Rig) -> None:
    behaviours = await serve(rig, "majority", 0.0, 0.0, 0.9, loss="absolute")
    for number in range(5):
        rig.ask(b"%d" % number)
    await rig.predictor.drain()
    behaviours["c"].fixed_s = 2 * SLO_S
    question = rig.ask(b"new")
    await rig.predictor.drain()
    assert question.value == pytest.approx(0.3)
    assert question.answer.confidence == pytest.approx(2 / 3)


async def test_what_comes_late_still_counts_for_what_a_model_usually_says(rig: Rig) -> None:
    await serve(rig, "majority", 0.0, 0.0, 0.9, loss="absolute", slow="c")
    first = rig.ask(b"1")
    await rig.predictor.drain()
    await asyncio.sleep(2 * SLO_S)
    second = rig.ask(b"2")
    await rig.predictor.drain()
    assert first.value == 0.0
    assert second.value == pytest.approx(0.3)


async def test_a_model_without_a_replica_costs_confidence_too(rig: Rig) -> None:
    app = application("a", *NAMES, policy="majority", confidence_threshold=0.6)
    rig.serve(configuration([app], [f"{name}:1" for name in NAMES]))
    await rig.start("a:1", Behaviour(answer=always("cat")))
    question = rig.ask()
    await rig.predictor.drain()
    assert question.answer.explanation == "low confidence"
    assert question.answer.confidence == pytest.approx(1 / 3)


async def test_where_nothing_is_learned_nothing_is_kept(rig: Rig, store: MemoryStore) -> None:
    await serve(rig, "majority", 1, 2, 2)
    question = rig.ask(context="ann")
    await rig.predictor.drain()
    assert not await rig.feedback.by_input("a", Input(b"1"), 2, "ann")
    assert await rig.feedback.state("a", "ann") is None
    assert question.value == 2


async def test_where_the_models_do_not_agree_enough_the_default_answers(rig: Rig) -> None:
    await serve(rig, "exp4", "cat", "dog", "cow", confidence_threshold=0.5)
    question = rig.ask()
    await rig.predictor.drain()
    answer = question.answer
    assert (question.value, answer.explanation) == (-1, "low confidence")
    assert answer.declined is not None
    assert answer.declined.value == "cat"
    assert answer.confidence == pytest.approx(1 / 3)
    assert rig.stats().low_confidence == rig.stats().defaults == 1


async def test_what_was_declined_can_be_learned_from(rig: Rig) -> None:
    await serve(rig, "exp4", "cat", "dog", "dog", confidence_threshold=0.8)
    for number in range(60):
        question = rig.ask(b"%d" % number)
        await rig.predictor.drain()
        await rig.feedback.by_query("a", question.answer.id, "cat", None)
    question = rig.ask(b"new")
    await rig.predictor.drain()
    assert (question.value, question.answer.explanation) == ("cat", "")
