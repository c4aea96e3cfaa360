"""A predictor with everything under it, over models in virtual time."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.layer import Limits, ModelAbstractionLayer
from clipper.core.config import Config
from clipper.core.metrics import ApplicationStats, Metrics
from clipper.core.tasks import Tasks
from clipper.core.types import Application, Input, InputType, Model, ModelId, ReplicaId
from clipper.serving.feedback import Feedback
from clipper.serving.ids import QueryIds
from clipper.serving.journal import Journal
from clipper.serving.predictor import Predictor
from clipper.serving.query import Query
from clipper.serving.snapshot import build_snapshot, strictest_slos
from clipper.serving.states import SelectionStates
from clipper.state.store import Store
from tests.fakes.replica import Behaviour, FakeReplica

SLO_S = 0.1


def application(name: str = "a", *models: str, **fields: Any) -> Application:
    """An application for texts that answers within a tenth of a second, by default `-1`."""
    fields = {"default_output": "-1", "latency_slo_micros": int(SLO_S * 1e6), **fields}
    return Application(name, InputType.STRINGS, models=models, **fields)


def configuration(apps: Sequence[Application], models: Sequence[str]) -> Config:
    """With these model versions (`m:1`), of which the last named is current."""
    config = Config()
    for app in apps:
        config = config.with_application(app)
    for text in models:
        name, version = text.split(":")
        model = Model(ModelId(name, version), InputType.STRINGS, registered=config.next_number())
        config = config.with_model(model).with_current(model.id)
    return config


class Question:
    """A query, and every reply to it."""

    def __init__(self, query: Query, replies: list[Query]) -> None:
        self.query = query
        self.replies = replies

    @property
    def answer(self) -> Query:
        """The query, which was answered exactly once."""
        assert self.replies == [self.query]
        return self.query

    @property
    def value(self) -> Any:
        """The value of its one answer."""
        return self.answer.output.value


class Rig:
    """Made inside the loop of a test, with an open store."""

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self.metrics = Metrics()
        cache = PredictionCache(1 << 20, self.metrics.cache)
        self.layer = ModelAbstractionLayer(cache, limits or Limits(), self.metrics)
        self.states = SelectionStates(store)
        self.journal = Journal(1000)
        ids = QueryIds(store.reserve)
        self.predictor = Predictor(ids, self.states, self.journal, Random(1))
        self.feedback = Feedback(self.predictor, self.states, self.journal)
        self.tasks = Tasks()

    def serve(self, config: Config) -> None:
        """Serve a configuration from now on."""
        slos = strictest_slos(config)
        for model in config.models.values():
            self.layer.add(model).set_slo(slos.get(model.id))
        self.predictor.snapshot = build_snapshot(
            config, self.layer, self.metrics, self.predictor.expire
        )
        self.predictor.is_loaded = True

    async def start(
        self, model: str, behaviour: Behaviour | None = None, index: int = 0
    ) -> FakeReplica:
        """A replica that takes batches from now on."""
        name, version = model.split(":")
        served = self.layer.models[ModelId(name, version)]
        replica = FakeReplica(behaviour, ReplicaId(served.id, index))
        serving = served.serve(served.dispatcher(replica))
        self.tasks.spawn(f"serve {replica.id}", serving, is_awaited=True)
        await asyncio.sleep(0)
        return replica

    def question(self, data: bytes = b"1", app: str = "a", **fields: Any) -> Question:
        """A query that was not submitted; `slo_s` is its own."""
        route, now = self.predictor.snapshot[app], self.predictor.now()
        deadline = now + fields.pop("slo_s", route.app.slo_s)
        replies: list[Query] = []
        return Question(Query(route, Input(data), now, deadline, replies.append, **fields), replies)

    def ask(self, data: bytes = b"1", app: str = "a", **fields: Any) -> Question:
        """A query that was."""
        question = self.question(data, app, **fields)
        self.predictor.submit(question.query)
        return question

    def stats(self, app: str = "a") -> ApplicationStats:
        """What an application counted."""
        return self.metrics.applications[app]

    async def close(self) -> None:
        """End the replicas."""
        await self.tasks.cancel()
        await self.predictor.close()
