"""The real serving layer over a store in memory, and containers and models in virtual time."""

import asyncio
from collections.abc import Mapping
from typing import Any

from clipper.abstraction.layer import Limits
from clipper.core.types import Deployment, Input, InputType, Model, ModelId
from clipper.serving.deployment import Unsaid
from clipper.serving.engine import Bounds, Files
from clipper.serving.query import Query
from clipper.serving.services import Services
from clipper.serving.workforce import Workforce
from clipper.state.memory import MemoryStore
from clipper.state.store import Store
from tests.fakes.containers import FakeManager, Script
from tests.fakes.predicting import Question
from tests.fakes.replica import Behaviour, Replicas


class World:
    """Made inside the loop of a test; `start` opens the store as the daemon would."""

    def __init__(
        self,
        store: Store | None = None,
        limits: Limits | None = None,
        manager: FakeManager | None = None,
        workforce: Workforce | None = None,
        files: Files | None = None,
    ) -> None:
        self.scripts: dict[str, Script] = {}
        self.missing: set[str] = set()
        """Paths at which there is nothing."""
        self.manager = manager or FakeManager(self.scripts, self.missing)
        self.replicas = Replicas()
        bounds = Bounds(limits or Limits())
        self.services = Services(
            store or MemoryStore(),
            {"fake": self.manager},
            self.replicas.connect,
            bounds,
            workforce,
            files,
        )

    async def start(self) -> Services:
        """Everything runs."""
        self.services.start()
        await asyncio.sleep(0.01)
        return self.services

    def behaviour(self, model: str) -> Behaviour:
        """How a model version (`m:1`) behaves, now and in later lives."""
        return self.replicas.behaviour(id_of(model))

    def batches(self, model: str) -> list[list[bytes]]:
        """Every batch that reached any replica of a model version."""
        return self.replicas.batches(id_of(model))

    async def deploy(
        self, model: str, timeout_s: float | None = 60.0, *, is_asked: bool = False, **fields: Any
    ) -> None:
        """Deploy a version."""
        version = deployed(model, **fields)
        unsaid = Unsaid(input_type=is_asked)
        await self.services.deployer.deploy(version, timeout_s, unsaid=unsaid)

    def ask(self, data: bytes = b"1", app: str = "a") -> Question:
        """A query."""
        predictor = self.services.predictor
        route, now = predictor.snapshot[app], predictor.now()
        replies: list[Query] = []
        query = Query(route, Input(data), now, now + route.slo_s, replies.append)
        predictor.submit(query)
        return Question(query, replies)

    def states(self, model: str) -> Mapping[int, str]:
        """The state of each replica of a version, by index."""
        statuses = self.services.fleet.status(id_of(model))
        return {status.replica.index: status.state for status in statuses}

    @property
    def running(self) -> list[str]:
        """Replicas whose container runs."""
        return sorted(str(one.replica) for one in self.manager.started if one.is_running)


def id_of(model: str) -> ModelId:
    """`m:1` as an id."""
    name, version = model.split(":")
    return ModelId(name, version)


def deployed(model: str, **fields: Any) -> Model:
    """A version (`m:1`) whose containers are started from `/models/m:1`."""
    fields = {"manager": "fake", "framework": "x", "path": f"/models/{model}", **fields}
    input_type = fields.pop("input_type", InputType.STRINGS)
    return Model(id_of(model), input_type, deployment=Deployment(**fields))
