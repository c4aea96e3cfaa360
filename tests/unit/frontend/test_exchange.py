"""One request: every query answered in its place, one response, and nothing left over."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clipper.abstraction.layer import Limits
from clipper.core.metrics import APPLICATION_OUTCOMES
from clipper.core.outputs import output_of
from clipper.core.types import Input, ModelId
from clipper.frontend.decode import MAX_INPUTS
from clipper.frontend.exchange import Exchange
from clipper.frontend.options import Options
from clipper.state.memory import MemoryStore
from tests.fakes.frames import frame
from tests.fakes.predicting import SLO_S, Rig, application, configuration
from tests.fakes.replica import Behaviour

pytestmark = pytest.mark.looptime

LATE = "Failed to retrieve a prediction response within the specified latency SLO"
NO_MODELS = "No connected models found for query"
SINGLE = configuration([application("a", "m")], ["m:1"])


class Answers:
    """Every response that was given, as (status, body)."""

    def __init__(self) -> None:
        self.all: list[tuple[int, Any]] = []

    def __call__(self, status: int, body: bytes) -> None:
        self.all.append((status, json.loads(body)))

    @property
    def one(self) -> tuple[int, Any]:
        """The only one."""
        (only,) = self.all
        return only

    @property
    def body(self) -> Any:
        """Of the only one, which is a success."""
        status, body = self.one
        assert status == 200
        return body


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.open()
    return store


@pytest.fixture
async def rig(store: MemoryStore) -> AsyncIterator[Rig]:
    rig = Rig(store)
    rig.serve(SINGLE)
    yield rig
    await rig.close()


def begin(
    rig: Rig, body: bytes | dict[str, Any], age_s: float = 0.0, **options: Any
) -> tuple[Answers, Exchange]:
    """Start a request to application `a`, which came so long ago."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answers = Answers()
    exchange = Exchange(answers, Options(**options))
    route, now = rig.predictor.snapshot["a"], rig.predictor.now()
    exchange.begin(rig.predictor, route, [raw], now - age_s)
    return answers, exchange


def counted(rig: Rig) -> dict[str, int]:
    counts = {outcome: getattr(rig.stats(), outcome) for outcome in APPLICATION_OUTCOMES}
    return {outcome: count for outcome, count in counts.items() if count}


async def test_an_answer_has_its_keys_in_the_documented_order(rig: Rig) -> None:
    await rig.start("m:1")
    answers, _ = begin(rig, {"input": "7"})
    await asyncio.sleep(0.05)
    expected = {"query_id": 0, "output": 7, "default": False, "confidence": 1.0, "models": ["m:1"]}
    assert answers.body == expected
    assert list(answers.body) == list(expected)


async def test_a_default_says_why(rig: Rig) -> None:
    answers, _ = begin(rig, {"input": "7"})
    expected = {
        "query_id": 0,
        "output": -1,
        "default": True,
        "default_explanation": f"{NO_MODELS}: No replica of m:1 is ready.",
        "confidence": 0.0,
        "models": [],
    }
    assert answers.body == expected
    assert list(answers.body) == list(expected)


async def test_an_explanation_of_the_models_may_hold_anything(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(poison={'"\\\n\u00e4'.encode()}))
    answers, _ = begin(rig, {"input": '"\\\n\u00e4'})
    await asyncio.sleep(0.05)
    assert answers.body["default_explanation"].startswith("The model failed: ValueError: ")


async def test_an_empty_batch_is_answered_with_an_empty_one(rig: Rig) -> None:
    answers, _ = begin(rig, {"input_batch": []})
    assert answers.body == {"batch_predictions": []}
    assert counted(rig) == {}


async def test_a_batch_of_one_is_answered_with_the_bare_object(rig: Rig) -> None:
    await rig.start("m:1")
    answers, _ = begin(rig, {"input_batch": ["7"]})
    await asyncio.sleep(0.05)
    assert answers.body["output"] == 7


async def test_a_batch_is_answered_in_the_order_of_its_inputs(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(poison={b"3"}))
    begin(rig, {"input": "2"})
    await asyncio.sleep(0.05)
    answers, _ = begin(rig, {"input_batch": ["0", "1", "2", "3", "1"]})
    await asyncio.sleep(0.09)
    predictions = answers.body["batch_predictions"]
    assert [one["output"] for one in predictions] == [0, 1, 2, -1, 1]
    assert [one["default"] for one in predictions] == [False, False, False, True, False]
    assert len({one["query_id"] for one in predictions}) == 5


async def test_a_batch_is_answered_at_the_deadline_with_what_is_there(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(fixed_s=0.06))
    answers, _ = begin(rig, {"input_batch": ["1", "2"]})
    await asyncio.sleep(SLO_S + 0.005)
    first, second = answers.body["batch_predictions"]
    assert first["output"] == 1
    assert second["default_explanation"].startswith(LATE)


@pytest.mark.parametrize(
    ("body", "error", "cause"),
    [
        (b"{", "Json error", "The body is not valid JSON"),
        (b"{}", "Json error", "neither `input` nor"),
        (b'{"input": 1}', "Json error", "input: Expected `str`, got `int`"),
        (b'{"input_batch": ["1", 2]}', "Json error", "input: Expected `str`, got `int`"),
        (b'{"input": "1", "slo_ms": 0}', "Query processing error", "slo_ms is 0"),
    ],
)
async def test_what_is_no_query_is_refused_and_not_counted(
    rig: Rig, body: bytes, error: str, cause: str
) -> None:
    answers, _ = begin(rig, body)
    status, refusal = answers.one
    assert (status, refusal["error"]) == (400, error)
    assert cause in refusal["cause"]
    assert counted(rig) == {}


async def test_a_version_that_does_not_exist_is_refused_in_exactly_the_old_words(rig: Rig) -> None:
    for body in (b'{"input": "1", "version": "9"}', b'{"input": 1, "version": "9"}'):
        answers, _ = begin(rig, body)
        cause = "Requested version: 9 does not exist for model: m"
        assert answers.one == (400, {"error": "Query processing error", "cause": cause})


async def test_a_tighter_deadline_is_kept_and_a_looser_one_cut(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(fixed_s=1.0))
    tight, _ = begin(rig, {"input": "1", "slo_ms": 5})
    loose, _ = begin(rig, {"input": "2", "slo_ms": 5000})
    await asyncio.sleep(0.007)
    assert tight.body["default_explanation"] == LATE
    assert loose.all == []
    await asyncio.sleep(SLO_S)
    assert loose.body["default_explanation"] == LATE


async def test_on_request_an_answer_explains_itself(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(fixed_s=0.02))
    await asyncio.sleep(1)
    first, _ = begin(rig, {"input": "1"}, explain=True)
    await asyncio.sleep(0.05)
    again, _ = begin(rig, {"input": "1"}, explain=True)
    assert first.body["cache"] == "none"
    assert first.body["timing"] == {
        "total_ms": 20.0,
        "queue_ms": 0.0,
        "batch_size": 1,
        "batch_limit": 1,
        "batch_ended_by": "limit",
    }
    assert (again.body["cache"], again.body["timing"]) == ("exact", {"total_ms": 0.0})


async def test_a_request_that_is_cancelled_is_not_answered(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(fixed_s=0.05))
    answers, exchange = begin(rig, {"input_batch": ["1", "2", "3"]})
    await asyncio.sleep(0.01)
    exchange.cancel()
    exchange.cancel()
    await asyncio.sleep(1)
    assert answers.all == []
    assert counted(rig) == {"cancelled": 3}
    assert rig.predictor.active == 0


async def test_to_cancel_what_was_answered_changes_nothing(rig: Rig) -> None:
    answers, exchange = begin(rig, {"input": "1"})
    exchange.cancel()
    assert len(answers.all) == 1
    assert counted(rig) == {"no_model": 1}


async def rejecting(store: MemoryStore, policy: str = "single") -> Rig:
    """Its model is busy for a second, and one more may wait; what it cannot take it rejects."""
    rig = Rig(store, Limits(queue=1))
    app = application("a", "m", policy=policy, on_overload="reject")
    rig.serve(configuration([app], ["m:1"]))
    behaviour = Behaviour(fixed_s=0.01)
    await rig.start("m:1", behaviour)
    rig.ask(b"cached", context="known")
    await asyncio.sleep(0.05)
    behaviour.fixed_s = 1.0
    rig.ask(b"in hand", context="known")
    await asyncio.sleep(0.01)
    return rig


async def test_one_query_that_cannot_be_taken_refuses_the_whole_request(
    store: MemoryStore,
) -> None:
    rig = await rejecting(store)
    answers, _ = begin(rig, {"input_batch": ["cached", "1", "2", "3", "4"]})
    status, refusal = answers.one
    assert (status, refusal["error"]) == (429, "Overloaded")
    assert refusal["cause"].startswith("The queue is full: 1 queries")
    assert rig.predictor.active == 1, "the one in hand"
    await rig.predictor.drain()
    assert rig.predictor.active == 0
    assert len(answers.all) == 1
    assert counted(rig) == {"answered": 2, "rejected": 2, "late": 1}
    await rig.close()


async def test_overload_after_the_contexts_were_loaded_refuses_the_request_once(
    store: MemoryStore,
) -> None:
    rig = await rejecting(store, "exp3")
    inputs = ["1", "2", "cached", "3", "cached", "4"]
    answers, _ = begin(rig, {"input_batch": inputs, "context": "not in memory"})
    assert answers.all == []
    await rig.predictor.drain()
    status, refusal = answers.one
    assert (status, refusal["error"]) == (429, "Overloaded")
    assert rig.predictor.active == 0
    assert rig.stats().rejected == 6, "none of its six queries was answered"
    await rig.close()


async def test_more_inputs_than_a_request_may_have_are_refused_unseen(rig: Rig) -> None:
    answers, _ = begin(rig, {"input_batch": ["1"] * (MAX_INPUTS + 1)})
    status, refusal = answers.one
    assert (status, refusal["error"]) == (400, "Query processing error")
    assert counted(rig) == {}


# Frames


async def test_a_frame_is_answered_with_the_bare_object_and_several_with_a_batch(rig: Rig) -> None:
    await rig.start("m:1")
    one, _ = begin(rig, frame("strings", b"7"), is_framed=True)
    two, _ = begin(rig, frame("strings", b"8") + frame("strings", b"9"), is_framed=True)
    await asyncio.sleep(0.05)
    assert one.body["output"] == 7
    assert [answer["output"] for answer in two.body["batch_predictions"]] == [8, 9]


async def test_the_cache_knows_an_input_whichever_way_it_came(rig: Rig) -> None:
    await rig.start("m:1")
    begin(rig, {"input": "7"})
    begin(rig, frame("strings", b"8"), is_framed=True)
    await asyncio.sleep(0.05)
    framed, _ = begin(rig, frame("strings", b"7"), is_framed=True, explain=True)
    plain, _ = begin(rig, {"input": "8"}, explain=True)
    assert framed.body["cache"] == plain.body["cache"] == "exact"


@pytest.mark.parametrize(
    "body", [b"", b'{"input": "1"}', frame("bytes", b"1"), frame("strings", b"\xff")]
)
async def test_what_is_no_frame_is_refused_and_not_counted(rig: Rig, body: bytes) -> None:
    answers, _ = begin(rig, body, is_framed=True)
    status, refusal = answers.one
    assert (status, refusal["error"]) == (400, "Frame error")
    assert refusal["cause"]
    assert counted(rig) == {}


async def test_the_version_is_checked_before_the_frames(rig: Rig) -> None:
    for body in (frame("strings", b"1"), b"no frame"):
        answers, _ = begin(rig, body, is_framed=True, version="9")
        cause = "Requested version: 9 does not exist for model: m"
        assert answers.one == (400, {"error": "Query processing error", "cause": cause})
    await rig.start("m:1")
    answers, _ = begin(rig, frame("strings", b"1"), is_framed=True, version="1")
    await asyncio.sleep(0.05)
    assert answers.body["models"] == ["m:1"]


async def test_a_tighter_deadline_and_a_context_go_with_frames(store: MemoryStore) -> None:
    rig = Rig(store)
    rig.serve(configuration([application("a", "m", policy="exp3")], ["m:1"]))
    await rig.start("m:1", Behaviour(fixed_s=1.0))
    answers, exchange = begin(
        rig, frame("strings", b"1"), is_framed=True, slo_s=0.005, context="ann"
    )
    (query,) = exchange.queries
    assert query.context == "ann"
    await asyncio.sleep(0.007)
    assert answers.body["default_explanation"] == LATE
    await rig.close()


async def test_more_frames_than_a_request_may_have_are_refused(rig: Rig) -> None:
    answers, _ = begin(rig, frame("strings", b"1") * (MAX_INPUTS + 1), is_framed=True)
    status, refusal = answers.one
    assert (status, refusal["error"]) == (400, "Query processing error")
    assert counted(rig) == {}


@pytest.mark.parametrize("on_overload", ["default", "reject"])
async def test_what_comes_to_its_turn_too_late_is_refused_unread(
    store: MemoryStore, on_overload: str
) -> None:
    rig = Rig(store)
    app = application("a", "m", on_overload=on_overload)
    rig.serve(configuration([app], ["m:1"]))
    answers, _ = begin(rig, b"not even JSON", age_s=0.6 * SLO_S)
    status, body = answers.one
    if on_overload == "reject":
        assert (status, body["error"]) == (429, "Overloaded")
        assert "did not read the query" in body["cause"]
    else:
        assert (status, body["output"], body["default"]) == (200, -1, True)
        assert "did not read the query" in body["default_explanation"]
    assert counted(rig) == {"overloaded" if on_overload == "default" else "rejected": 1}
    assert rig.predictor.active == 0
    await rig.close()


async def test_what_has_time_left_or_needs_several_answers_is_read(rig: Rig) -> None:
    await rig.start("m:1", Behaviour(fixed_s=0.01))
    answers, _ = begin(rig, {"input": "x"}, age_s=0.2 * SLO_S)
    await asyncio.sleep(SLO_S)
    assert not answers.body["default"]
    answers, _ = begin(rig, {"input_batch": ["x", "y"]}, age_s=0.6 * SLO_S)
    await asyncio.sleep(SLO_S)
    assert len(answers.body["batch_predictions"]) == 2


async def busy(store: MemoryStore, on_overload: str = "default") -> Rig:
    """Its model takes 60 ms of the 100 that there are, and has just begun with `in hand`."""
    rig = Rig(store)
    rig.serve(configuration([application("a", "m", on_overload=on_overload)], ["m:1"]))
    await rig.start("m:1", Behaviour(fixed_s=0.06))
    for text in ("cached", "in hand"):
        begin(rig, {"input": text})
        await asyncio.sleep(0.06 if text == "cached" else 0)
    return rig


@pytest.mark.parametrize("on_overload", ["default", "reject"])
async def test_what_would_be_answered_too_late_is_refused_on_arrival(
    store: MemoryStore, on_overload: str
) -> None:
    rig = await busy(store, on_overload)
    await asyncio.sleep(0.01)
    answers, _ = begin(rig, {"input": "new"})
    status, body = answers.one
    if on_overload == "reject":
        assert (status, body["error"]) == (429, "Overloaded")
        assert "would have come too late" in body["cause"]
    else:
        assert (status, body["output"], body["default"]) == (200, -1, True)
        assert body["default_explanation"].startswith(LATE)
        assert "would have come too late" in body["default_explanation"]
    outcome = "overloaded" if on_overload == "default" else "rejected"
    assert counted(rig) == {"answered": 1, outcome: 1}
    assert rig.metrics.models[ModelId("m", "1")].shed == 1
    await rig.close()


async def test_what_is_known_or_being_computed_is_answered_however_busy_the_model_is(
    store: MemoryStore,
) -> None:
    rig = await busy(store)
    await asyncio.sleep(0.01)
    known, _ = begin(rig, {"input": "cached"})
    joined, _ = begin(rig, {"input": "in hand"})
    await asyncio.sleep(SLO_S)
    assert (known.body["output"], joined.body["output"]) == ("cached", "in hand")
    assert counted(rig) == {"answered": 4}
    await rig.close()


async def test_a_daemon_that_is_late_to_read_expects_to_be_as_late_to_answer(
    store: MemoryStore,
) -> None:
    rig = await busy(store)
    await asyncio.sleep(0.03)
    in_time, _ = begin(rig, {"input": "new"})  # 30 ms until its turn, 60 for the model
    too_late, _ = begin(rig, {"input": "newer"}, age_s=0.005)
    assert "would have come too late" in too_late.body["default_explanation"]
    await asyncio.sleep(SLO_S)
    assert in_time.body["output"] == "new"
    await rig.close()


async def test_an_answer_that_was_declined_is_shown_beside_the_default(store: MemoryStore) -> None:
    rig = Rig(store)
    app = application("a", "m", "n", policy="majority", confidence_threshold=0.9)
    rig.serve(configuration([app], ["m:1", "n:1"]))
    for model, text in (("m:1", "cat"), ("n:1", "dog")):
        said = output_of(text)
        await rig.start(model, Behaviour(answer=dict.fromkeys([Input(b"x")], said).__getitem__))
    answers, _ = begin(rig, {"input": "x"})
    await rig.predictor.drain()
    assert answers.body == {
        "query_id": 0,
        "output": -1,
        "default": True,
        "default_explanation": "low confidence",
        "confidence": 0.5,
        "models": ["m:1", "n:1"],
        "prediction": "cat",
    }
    await rig.close()
