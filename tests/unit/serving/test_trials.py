"""Policies that compare models, and cascades, through the predictor."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from clipper.core.errors import StateError
from clipper.core.outputs import output_of
from clipper.core.types import Input, ModelId, Output
from clipper.selection.comparing import ROLLED_BACK
from clipper.serving.predictor import sticky_draw
from clipper.state.memory import MemoryStore
from tests.fakes.predicting import SLO_S, Rig, application, configuration
from tests.fakes.replica import Behaviour, FakeReplica

pytestmark = pytest.mark.looptime

A1, A2, B1 = ModelId("a", "1"), ModelId("a", "2"), ModelId("b", "1")


class Fickle(MemoryStore):
    """Can be made to refuse writes."""

    is_full = False

    async def swap(self, key: str, value: bytes, *, expected: int) -> int:
        if self.is_full:
            raise StateError("the disk is full")
        return await super().swap(key, value, expected=expected)


@pytest.fixture
async def store() -> Fickle:
    store = Fickle()
    await store.open()
    return store


@pytest.fixture
async def rig(store: Fickle) -> AsyncIterator[Rig]:
    rig = Rig(store)
    yield rig
    await rig.close()


def always(value: Any) -> Callable[[Input], Output]:
    return lambda _: output_of(value)


async def serve(rig: Rig, policy: str, values: dict[str, Any], **params: Any) -> dict[str, Any]:
    """Model versions that always give these outputs; the last one of each name is current."""
    names = dict.fromkeys(model.split(":")[0] for model in values)
    app = application("a", *names, policy=policy, policy_params=params)
    versions = sorted(values, reverse=True)  # version 1 is current, and 2 a candidate
    rig.serve(configuration([app], versions))
    replicas: dict[str, FakeReplica] = {}
    for model, value in values.items():
        replicas[model] = await rig.start(model, Behaviour(answer=always(value)))
    return replicas


async def test_a_context_that_is_named_always_meets_the_same_model(rig: Rig) -> None:
    await serve(rig, "ab", {"a:1": "old", "a:2": "new"}, split={"a:1": 1, "a:2": 1})
    met: dict[str, set[Any]] = {}
    for number in range(200):
        user = f"user-{number % 20}"
        question = rig.ask(b"%d" % number, context=user)
        await asyncio.sleep(0.02)
        met.setdefault(user, set()).add(question.value)
    assert all(len(values) == 1 for values in met.values())
    assert {value for values in met.values() for value in values} == {"old", "new"}


def test_over_contexts_the_draw_is_even_and_of_each_application_its_own() -> None:
    draws = [sticky_draw("a", str(number)) for number in range(2000)]
    assert sum(draw < 0.3 for draw in draws) == pytest.approx(600, rel=0.1)
    assert draws[:5] != [sticky_draw("b", str(number)) for number in range(5)]


async def test_queries_without_a_context_are_split_too(rig: Rig) -> None:
    await serve(rig, "ab", {"a:1": "old", "a:2": "new"}, split={"a:1": 3, "a:2": 1})
    answers = []
    for number in range(200):
        answers.append(rig.ask(b"%d" % number))
        await asyncio.sleep(0.02)
    counts = Counter(answer.value for answer in answers)
    assert counts["old"] == pytest.approx(150, rel=0.2)


async def test_what_a_comparison_learns_is_the_same_for_all_contexts(rig: Rig) -> None:
    await serve(rig, "ab", {"a:1": "old", "a:2": "new"}, split={"a:1": 1, "a:2": 1})
    for number in range(20):
        question = rig.ask(b"%d" % number, context=f"user-{number}")
        await asyncio.sleep(0.02)
        assert await rig.feedback.by_query("a", question.answer.id, "old", None)
    state = await rig.feedback.state("a", "user-1")
    assert state == await rig.feedback.state("a", "nobody")
    assert sum(arm.pulls for arm in state.arms.values()) == 20


async def test_a_shadow_is_asked_and_judged_but_never_waited_for(rig: Rig) -> None:
    replicas = await serve(rig, "shadow", {"a:1": "cat", "b:1": "dog"}, primary="a")
    replicas["b:1"].behaviour.fixed_s = 5 * SLO_S
    question = rig.ask()
    await rig.predictor.drain()
    answer = question.answer
    assert (answer.output.value, answer.models, answer.lacking) == ("cat", (A1,), ())
    assert answer.latency_s < 0.02
    await asyncio.sleep(6 * SLO_S)
    assert replicas["b:1"].batches == [[b"1"]]
    assert await rig.feedback.by_query("a", answer.id, "dog", None)
    state = await rig.feedback.state("a", "0")
    assert {model: arm.mean for model, arm in state.arms.items()} == {"a:1": 1.0, "b:1": 0.0}


async def test_a_shadow_that_answers_first_is_judged_and_gives_no_answer(rig: Rig) -> None:
    replicas = await serve(rig, "shadow", {"a:1": "cat", "b:1": "dog"}, primary="a")
    replicas["a:1"].behaviour.fixed_s = 0.05
    question = rig.ask()
    await rig.predictor.drain()
    assert question.value == "cat"
    assert question.answer.models == (A1,)
    await rig.feedback.by_query("a", question.answer.id, "dog", None)
    state = await rig.feedback.state("a", "0")
    assert set(state.arms) == {"a:1", "b:1"}


async def test_feedback_by_input_waits_for_shadows(rig: Rig) -> None:
    replicas = await serve(rig, "shadow", {"a:1": "cat", "b:1": "dog"}, primary="a")
    replicas["b:1"].behaviour.fixed_s = 5 * SLO_S
    assert await rig.feedback.by_input("a", Input(b"1"), "dog", None)
    state = await rig.feedback.state("a", "0")
    assert {model: arm.mean for model, arm in state.arms.items()} == {"a:1": 1.0, "b:1": 0.0}


async def test_a_canary_that_fails_is_rolled_back_without_any_feedback(
    rig: Rig, store: Fickle
) -> None:
    replicas = await serve(rig, "canary", {"a:1": "old", "a:2": "new"}, candidate="a:2", share=0.5)
    replicas["a:2"].behaviour.poison = {b"%d" % number for number in range(1000)}
    for number in range(300):
        rig.ask(b"%d" % number)
        await asyncio.sleep(0.02)
    store.is_full = True
    with pytest.raises(StateError):
        await rig.feedback.watch()
    store.is_full = False
    await rig.feedback.watch()
    state = await rig.feedback.state("a", "0")
    assert state.verdict == ROLLED_BACK
    assert sum(seen.asked for seen in state.traffic.values()) == 300, "nothing is lost, or twice"
    question = rig.ask(b"new")
    await rig.predictor.drain()
    assert question.value == "old"


async def test_what_feedback_asks_is_no_traffic(rig: Rig) -> None:
    await serve(rig, "canary", {"a:1": "old", "a:2": "new"}, candidate="a:2", share=0.5)
    assert await rig.feedback.by_input("a", Input(b"1"), "old", None)
    await rig.feedback.watch()
    assert (await rig.feedback.state("a", "0")).traffic == {}


def by_doubt(input: Input) -> Output:
    """Sure of short texts only."""
    return output_of([0.99, 0.01] if len(input.data) < 3 else [0.6, 0.4])


async def cascade(rig: Rig, **params: Any) -> dict[str, Any]:
    values = {"a:1": None, "b:1": [0.0, 1.0]}
    replicas = await serve(rig, "cascade", values, models=["a", "b"], thresholds=[0.2], **params)
    replicas["a:1"].behaviour.answer = by_doubt
    return replicas


async def test_the_dear_model_is_asked_where_the_cheap_one_is_not_sure(rig: Rig) -> None:
    replicas = await cascade(rig)
    sure, unsure = rig.ask(b"a"), rig.ask(b"abc")
    await rig.predictor.drain()
    assert (sure.value, sure.answer.models) == ([0.99, 0.01], (A1,))
    assert (unsure.value, unsure.answer.models) == ([0.0, 1.0], (A1, B1))
    assert replicas["b:1"].batches == [[b"abc"]]


async def test_queries_that_go_on_share_a_batch_of_the_dear_model(rig: Rig) -> None:
    replicas = await cascade(rig)
    for number in range(20):  # so that its batches may be larger than one
        rig.ask(b"warm%d" % number)
    await rig.predictor.drain()
    replicas["b:1"].batches.clear()
    for number in range(4):
        rig.ask(b"long%d" % number)
    await rig.predictor.drain()
    assert max(map(len, replicas["b:1"].batches)) > 1


async def test_where_there_is_no_time_to_go_on_the_cheap_answer_stands(rig: Rig) -> None:
    replicas = await cascade(rig)
    replicas["b:1"].behaviour.fixed_s = 2 * SLO_S
    question = rig.ask(b"abc")
    await rig.predictor.drain()
    assert question.value == [0.6, 0.4]
    assert question.answer.confidence == pytest.approx(0.6)
    assert question.answer.lacking == (B1,)


async def test_a_cheap_model_that_fails_is_passed_over(rig: Rig) -> None:
    replicas = await cascade(rig)
    replicas["a:1"].behaviour.poison = {b"a"}
    question = rig.ask(b"a")
    await rig.predictor.drain()
    assert question.value == [0.0, 1.0]


async def test_a_cheap_model_without_a_replica_is_passed_over_at_once(rig: Rig) -> None:
    policy = {"policy": "cascade", "policy_params": {"thresholds": [0.2]}}
    rig.serve(configuration([application("a", "a", "b", **policy)], ["a:1", "b:1"]))
    await rig.start("b:1", Behaviour(answer=always([0.0, 1.0])))
    question = rig.ask()
    await rig.predictor.drain()
    answer = question.answer
    assert (question.value, answer.models, answer.lacking) == ([0.0, 1.0], (B1,), (A1,))
    assert answer.latency_s < 0.02
    assert await rig.feedback.by_query("a", answer.id, 1, None)
    assert set((await rig.feedback.state("a", "0")).arms) == {"b:1"}


async def test_a_dear_model_without_a_replica_leaves_the_answer_to_the_cheap_one(rig: Rig) -> None:
    rig.serve(configuration([application("a", "a", "b", policy="cascade")], ["a:1", "b:1"]))
    await rig.start("a:1", Behaviour(answer=always([0.6, 0.4])))
    question = rig.ask()
    await rig.predictor.drain()
    assert (question.value, question.answer.lacking) == ([0.6, 0.4], (B1,))
    assert question.answer.latency_s < 0.02


async def test_while_a_model_is_down_the_others_keep_their_thresholds(rig: Rig) -> None:
    policy = {"policy": "cascade", "policy_params": {"thresholds": [0.0, 0.6]}}
    rig.serve(configuration([application("a", "a", "b", "c", **policy)], ["a:1", "b:1", "c:1"]))
    await rig.start("b:1", Behaviour(answer=always([0.9, 0.1])))
    await rig.start("c:1", Behaviour(answer=always([0.0, 1.0])))
    question = rig.ask()
    await rig.predictor.drain()
    assert question.value == [0.9, 0.1], "b is sure enough for its own threshold, not for a's"
    assert await rig.feedback.by_query("a", question.answer.id, 0, None)
    assert set((await rig.feedback.state("a", "0")).arms) == {"b:1"}, "so it was when it learned"


async def test_a_cascade_goes_on_where_the_cheap_model_is_late(rig: Rig) -> None:
    replicas = await cascade(rig, tolerance=0.05)
    replicas["a:1"].behaviour.fixed_s = 2 * SLO_S
    for number in range(100):
        question = rig.ask(b"%d" % number)
        await rig.predictor.drain()
        assert question.answer.explanation
        assert await rig.feedback.by_query("a", question.answer.id, 0, None)
        await asyncio.sleep(2 * SLO_S)
    assert not (await rig.feedback.state("a", "0")).is_off


async def test_a_bandit_leaves_a_model_that_never_answers(rig: Rig) -> None:
    replicas = await serve(rig, "epsilon_greedy", {"a:1": 1, "b:1": 1})
    replicas["a:1"].behaviour.poison = {b"%d" % number for number in range(1000)}
    answers = []
    for number in range(200):
        question = rig.ask(b"%d" % number)
        await asyncio.sleep(0.02)
        answers.append(question.answer)
        await rig.feedback.by_query("a", question.answer.id, 1, None)
    assert sum(bool(answer.explanation) for answer in answers) < 30
