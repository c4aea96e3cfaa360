"""The layers of a daemon in this process, with its real listener on loopback, ready to be asked.

Only what a query does not meet is left out: the store's loop, the admin listener, restarts. A model
is behind a real container in a process of its own, or behind `Instant`, which costs next to nothing
and can be had a thousand times.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from starlette.responses import Response

from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.dispatcher import Replica
from clipper.abstraction.layer import Limits, ModelAbstractionLayer
from clipper.core.config import Config
from clipper.core.metrics import Metrics
from clipper.core.outputs import output_of
from clipper.core.tasks import Tasks
from clipper.core.types import (
    Application,
    BatchOutputs,
    Deployment,
    Input,
    InputType,
    Model,
    ModelId,
    ReplicaId,
)
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.process.manager import ProcessManager
from clipper.frontend.door import Door
from clipper.frontend.listener import Listener
from clipper.rpc.replica import GrpcReplica
from clipper.serving.ids import QueryIds
from clipper.serving.journal import Journal
from clipper.serving.predictor import Predictor
from clipper.serving.snapshot import Snapshot, build_snapshot, strictest_slos
from clipper.serving.states import SelectionStates
from clipper.state.memory import MemoryStore

SLO_MICROS = 1_000_000
"""Nothing may be dropped here: this is about cost, whatever else the machine does."""
MODEL = ModelId("model", "1")


class House:
    """The layers, serving what a configuration says."""

    def __init__(self, config: Config) -> None:
        store = MemoryStore()
        self.config = config
        self.metrics = Metrics()
        cache = PredictionCache(256 * 1024 * 1024, self.metrics.cache)
        self.layer = ModelAbstractionLayer(cache, Limits(), self.metrics)
        self.ids = QueryIds(store.reserve)
        states = SelectionStates(store)
        self.predictor = Predictor(self.ids, states, Journal(65_536), Random(1))
        door = Door(64 * 1024 * 1024, 30.0, self.predictor)
        self.listener = Listener(Response("not here", 404), "127.0.0.1", 0, door)
        self._store = store
        self._tasks = Tasks()

    async def open(self) -> None:
        """Listen."""
        await self._store.open()
        await self.ids.renew()
        slos = strictest_slos(self.config)
        for model in self.config.models.values():
            self.layer.add(model).set_slo(slos.get(model.id))
        self.predictor.snapshot = self.snapshot()
        self.predictor.is_loaded = True
        await self.listener.start()

    def snapshot(self) -> Snapshot:
        """What a change of the configuration builds anew."""
        return build_snapshot(self.config, self.layer, self.metrics, self.predictor.expire)

    def serve(self, replica: Replica) -> None:
        """Have a replica take batches of its model."""
        served = self.layer.models[replica.id.model]
        self._tasks.spawn(f"serve {replica.id}", served.serve(served.dispatcher(replica)))

    @property
    def answered(self) -> int:
        """Queries that a model answered."""
        return sum(stats.answered for stats in self.metrics.applications.values())

    async def close(self) -> None:
        """End connections, and whoever serves."""
        self.listener.refuse()
        drained = self._tasks.spawn("drain", self.listener.drain())
        await asyncio.sleep(0)
        drained.cancel()  # which ends whoever is still connected
        await self._tasks.cancel()


class Instant:
    """A replica that has its outputs at the loop's next turn."""

    def __init__(self, replica: ReplicaId) -> None:
        self.id = replica
        self._output = output_of(1.5)

    async def predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        """The same output for each."""
        await asyncio.sleep(0)
        return BatchOutputs([self._output] * len(inputs), 0.0)


@asynccontextmanager
async def house(config: Config, replicas: Iterable[Replica]) -> AsyncIterator[House]:
    """An open house whose models are served by these."""
    one = House(config)
    await one.open()
    try:
        for replica in replicas:
            one.serve(replica)
        await asyncio.sleep(0)  # every dispatcher joins its scheduler
        yield one
    finally:
        await one.close()


@asynccontextmanager
async def contained(model: ModelId = MODEL) -> AsyncIterator[GrpcReplica]:
    """A replica of the noop model in a container process."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="clipper-bench-"))
        manager = ProcessManager(Path(folder))
        await manager.open()
        stack.push_async_callback(manager.close)
        spec = ContainerSpec(
            ReplicaId(model, 0), InputType.FLOATS, Deployment("process", "noop", "")
        )
        container = await manager.start(spec)
        replica = GrpcReplica(spec.replica, InputType.FLOATS, container.address, container.token)
        stack.push_async_callback(replica.close)
        await replica.connect()
        yield replica


def one_model(*apps: str) -> Config:
    """Applications that all link the one model."""
    return configuration(dict.fromkeys(apps or ("app",), (MODEL.name,)), [MODEL])


def configuration(
    apps: dict[str, tuple[str, ...]], models: Sequence[ModelId], policy: str = "single"
) -> Config:
    """Applications by name with the models they link, and model versions; the last is current."""
    return Config(
        applications={
            name: Application(name, InputType.FLOATS, "-1", SLO_MICROS, linked, policy)
            for name, linked in apps.items()
        },
        models={model: Model(model, InputType.FLOATS) for model in models},
        current={model.name: model.version for model in models},
    )
