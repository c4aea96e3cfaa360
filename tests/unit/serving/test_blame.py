"""A policy of the owner's own that fails: its application is answered by default, others are not
touched, and what is learned stays readable."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clipper.core.errors import InvalidInput, PolicyFailed
from clipper.selection import own
from clipper.selection.policies import make_policy
from clipper.state.memory import Memory, MemoryStore
from tests.fakes.predicting import SLO_S, Rig, application, configuration

pytestmark = pytest.mark.looptime

FRAGILE = """
import msgspec
from clipper.core.types import ModelId
from clipper.selection.policy import Selection, SelectionPolicy

class State(msgspec.Struct, frozen=True):
    sum: float = 0.0

class Fragile(SelectionPolicy):
    name = "fragile"
    state_type = State

    def __init__(self, fails=""):
        self.fails = fails
        self.watches = fails == "watch"
        self.escalates = fails == "escalate"
        if fails == "init":
            raise RuntimeError("out of order")

    def init(self):
        return State()

    def shares(self, state, models):
        if self.fails == "shares":
            raise RuntimeError("out of order")
        return [1 / len(models)] * len(models)

    def select(self, state, models, draw):
        if self.fails == "stranger":
            return Selection((ModelId("nobody", "1"),), 1.0)
        if self.fails == "nobody":
            return Selection((), 1.0)
        return super().select(state, models, draw)

    def escalate(self, state, models, asked, outputs):
        raise RuntimeError("out of order")

    def combine(self, state, models, outputs, usual={}):
        if self.fails == "combine":
            raise RuntimeError("out of order")
        if self.fails == "nan":
            return next(iter(outputs.values())), float("nan")
        if self.fails == "value":
            return 7, 1.0
        return super().combine(state, models, outputs)

    def observe(self, state, models, lesson):
        if self.fails == "observe":
            raise RuntimeError("out of order")
        return State(float("nan")) if self.fails == "state" else state

    def watch(self, state, models, traffic):
        raise RuntimeError("out of order")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "fragile.py").write_text(FRAGILE)
    own.use(str(tmp_path))
    yield
    own.use("")


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
async def rig(memory: Memory) -> AsyncIterator[Rig]:
    store = MemoryStore(memory)
    await store.open()
    rig = Rig(store)
    yield rig
    await rig.close()


async def serve(rig: Rig, fails: str) -> None:
    """Application `a` has the policy that fails there, `b` a sound one."""
    fragile = application("a", "m", policy="fragile:Fragile", policy_params={"fails": fails})
    sound = application("b", "m", policy="exp3")
    rig.serve(configuration([fragile, sound], ["m:1"]))
    await rig.start("m:1")
    for app in ("a", "b"):
        await rig.feedback.state(app, "0")


@pytest.mark.parametrize(
    "fails", ["shares", "stranger", "nobody", "escalate", "combine", "nan", "value"]
)
async def test_the_default_output_answers_and_says_whose_fault_it_is(
    rig: Rig, fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    await serve(rig, fails)
    with caplog.at_level(logging.ERROR):
        questions = [rig.ask(b"%d" % number) for number in range(3)]
        sound = rig.ask(app="b")
        await asyncio.sleep(2 * SLO_S)
    for question in questions:
        assert question.value == -1
        assert "The selection policy fragile failed" in question.answer.explanation
    assert sound.value == 1
    assert rig.predictor.active == 0
    assert rig.stats().policy_failed == 3
    assert len([one for one in caplog.records if "failed" in one.message]) == 1, "said once"


@pytest.mark.parametrize("fails", ["observe", "state"])
async def test_what_cannot_be_learned_is_refused_and_leaves_the_state_as_it_was(
    rig: Rig, memory: Memory, fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    await serve(rig, fails)
    question = rig.ask()
    await asyncio.sleep(SLO_S)
    assert question.value == 1
    with pytest.raises(PolicyFailed, match="policy fragile") as refusal:
        await rig.feedback.by_query("a", question.answer.id, 1, None)
    assert refusal.value.hint == "The daemon's log has its traceback."
    assert "Traceback" in caplog.text
    assert memory.cells == {}
    again = rig.ask(b"2")
    await asyncio.sleep(SLO_S)
    assert again.value == 2


async def test_one_that_cannot_watch_keeps_no_other_from_it(rig: Rig) -> None:
    fragile = application("a", "m", policy="fragile:Fragile", policy_params={"fails": "watch"})
    canary = application("b", "m", policy="canary", policy_params={"candidate": "m:2"})
    rig.serve(configuration([fragile, canary], ["m:2", "m:1"]))
    for model in ("m:1", "m:2"):
        await rig.start(model)
    for app in ("a", "b"):
        await rig.feedback.state(app, "0")
        rig.ask(app=app)
    await asyncio.sleep(SLO_S)
    await rig.feedback.watch()
    assert (
        await rig.feedback.state("b", "0")
        != make_policy("canary", {"candidate": "m:2"}, "zero_one").init()
    ), "it has heard of its traffic"


def test_one_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be made: RuntimeError: out of order"):
        make_policy("fragile:Fragile", {"fails": "init"}, "zero_one")
