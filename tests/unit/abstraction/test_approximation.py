"""The approximate cache of a model: near inputs share an output, audits run beside the queries."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from clipper.abstraction.audit import ALLOWED
from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.layer import Limits, ModelAbstractionLayer, Near
from clipper.abstraction.queue import Task
from clipper.core.metrics import Metrics
from clipper.core.outputs import output_of
from clipper.core.tasks import Tasks
from clipper.core.types import ApproximateCache, Input, InputType, Model, ModelId, Output, ReplicaId
from tests.fakes.callers import Caller
from tests.fakes.replica import Behaviour, FakeReplica

pytestmark = pytest.mark.looptime

RADIUS = 0.1
MODEL = Model(
    ModelId("m", "1"),
    InputType.FLOATS,
    approximate_cache=ApproximateCache("euclidean", RADIUS, audit=1e-9),
)


def vector(*numbers: float) -> Input:
    return Input(np.array(numbers, "<f4").tobytes())


def first_number(input: Input) -> Output:
    """A model that answers with the first number, to the nearest whole one."""
    return output_of(round(float(np.frombuffer(input.data, "<f4")[0])))


class Rig:
    """A model with a replica; made inside the loop of a test."""

    def __init__(self, cache_bytes: int = 1 << 20, **asked: float) -> None:
        self.metrics = Metrics()
        self.cache = PredictionCache(cache_bytes, self.metrics.cache)
        layer = ModelAbstractionLayer(self.cache, Limits(), self.metrics)
        assert MODEL.approximate_cache is not None
        near = ApproximateCache(
            "euclidean", RADIUS, **{"audit": MODEL.approximate_cache.audit, **asked}
        )
        self.layer = layer
        self.served = layer.add(replace(MODEL, approximate_cache=near))
        self.behaviour = Behaviour(answer=first_number)
        self.replica = FakeReplica(self.behaviour, ReplicaId(MODEL.id, 0))
        self.tasks = Tasks()

    async def start(self) -> None:
        serving = self.served.serve(self.served.dispatcher(self.replica))
        self.tasks.spawn("serve", serving, is_awaited=True)
        await asyncio.sleep(0)

    def ask(self, *numbers: float) -> Output | Near | Task:
        deadline = asyncio.get_running_loop().time() + 0.1
        return self.served.predict(vector(*numbers), deadline, Caller())

    async def teach(self, *numbers: float) -> None:
        """Have the model asked, and its output cached."""
        assert isinstance(self.ask(*numbers), Task)
        await asyncio.sleep(0.05)


async def test_an_input_within_the_radius_is_answered_without_the_model() -> None:
    rig = Rig()
    await rig.start()
    await rig.teach(3.0, 1.0)
    found = rig.ask(3.05, 1.05)
    assert isinstance(found, Near)
    assert found.output.value == 3
    assert rig.ask(3.0, 1.0) == output_of(3), "the very input is an exact hit"
    assert isinstance(rig.ask(3.2, 1.0), Task), "this one is too far away"
    await asyncio.sleep(1)
    assert len(rig.replica.batches) == 2
    assert rig.served.stats.approximate_hits == 1
    await rig.tasks.cancel()


async def test_a_near_output_is_served_where_no_replica_is_left() -> None:
    rig = Rig(audit=1.0)
    await rig.start()
    await rig.teach(3.0)
    await rig.tasks.cancel()
    assert isinstance(rig.ask(3.05), Near)


async def test_a_model_that_asks_for_none_has_none() -> None:
    rig = Rig()
    plain = rig.layer.add(replace(MODEL, id=ModelId("plain", "1"), approximate_cache=None))
    assert plain.approximation is None
    assert rig.metrics.model(plain.id).approximate_is_on is None


async def test_what_the_cache_evicts_is_found_no_more() -> None:
    rig = Rig(cache_bytes=2000)
    await rig.start()
    await rig.teach(3.0)
    for number in range(10, 20):
        await rig.teach(float(number))
    assert isinstance(rig.ask(3.05), Task)
    assert rig.served.approximation is not None
    assert len(rig.served.approximation.index) == rig.metrics.cache.entries > 0
    await rig.tasks.cancel()


async def test_a_near_hit_keeps_an_entry_from_being_evicted() -> None:
    rig = Rig(cache_bytes=2000)
    await rig.start()
    await rig.teach(3.0)
    for number in range(10, 20):
        assert isinstance(rig.ask(3.05), Near)
        await rig.teach(float(number))
    await rig.tasks.cancel()


async def test_a_deleted_version_leaves_nothing_in_its_index() -> None:
    rig = Rig()
    await rig.start()
    await rig.teach(3.0)
    approximation = rig.served.approximation
    assert approximation is not None
    rig.layer.remove(MODEL.id)
    assert len(approximation.index) == rig.metrics.cache.bytes == 0
    await rig.tasks.cancel()


async def test_an_audited_hit_is_answered_at_once_and_computed_behind_everybody_else() -> None:
    rig = Rig(audit=1.0)
    await rig.start()
    await rig.teach(3.0)
    rig.behaviour.fixed_s = 0.02
    assert isinstance(rig.ask(50.0), Task)
    await asyncio.sleep(0.01)  # the replica is busy with that
    assert isinstance(rig.ask(3.05), Near)
    assert isinstance(rig.ask(60.0), Task)
    await asyncio.sleep(0.1)
    batches = [[first_number(Input(data)).value for data in batch] for batch in rig.replica.batches]
    assert batches == [[3], [50], [60, 3]]
    stats = rig.served.stats
    assert (stats.audited, stats.disagreed) == (1, 0)
    assert rig.ask(3.05) == output_of(3), "what the audit found is known now"
    await rig.tasks.cancel()


async def test_without_audits_the_model_is_not_asked() -> None:
    rig = Rig()
    await rig.start()
    await rig.teach(3.0)
    for number in range(100):
        assert isinstance(rig.ask(3.0 + number / 1e4 + 1e-5), Near)
    await asyncio.sleep(1)
    assert len(rig.replica.batches) == 1
    await rig.tasks.cancel()


async def test_when_too_many_are_wrong_it_switches_itself_off_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(audit=1.0)
    await rig.start()
    await rig.teach(3.49)
    for number in range(ALLOWED + 1):
        assert isinstance(rig.ask(3.51 + number / 1e3), Near)
        await asyncio.sleep(0.05)
        rig.cache.forget(rig.served._cache)  # so that no audit's output is nearer
        await rig.teach(3.49)
    assert isinstance(rig.ask(3.515), Task)
    approximation = rig.served.approximation
    assert approximation is not None
    assert not approximation.audit.is_on
    assert rig.served.stats.approximate_is_on is False
    assert "The approximate cache of m:1 is off: 6 of 6 audited hits disagreed" in caplog.text
    assert len(approximation.index) == 0
    await asyncio.sleep(1)
    assert rig.ask(3.515) == output_of(4), "the exact cache goes on"
    await rig.tasks.cancel()


async def test_an_audit_on_which_the_model_fails_says_nothing() -> None:
    rig = Rig(audit=1.0)
    await rig.start()
    await rig.teach(3.0)
    rig.behaviour.poison = {vector(3.05).data}
    assert isinstance(rig.ask(3.05), Near)
    await asyncio.sleep(1)
    assert rig.served.stats.audited == 0
    await rig.tasks.cancel()


async def test_a_margin_keeps_close_calls_from_being_served() -> None:
    rig = Rig(margin=0.5)
    await rig.start()
    scores = {3.0: [0.9, 0.1], 7.0: [0.6, 0.4]}
    rig.behaviour.answer = lambda input: output_of(
        scores[round(float(np.frombuffer(input.data, "<f4")[0]))]
    )
    await rig.teach(3.0)
    await rig.teach(7.0)
    assert isinstance(rig.ask(3.05), Near)
    assert isinstance(rig.ask(7.05), Task)
    await rig.tasks.cancel()
