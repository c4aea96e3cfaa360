"""The real serving layer over containers that are nothing but a promise."""

import asyncio
from collections.abc import Collection, Sequence
from itertools import count

from clipper.core.errors import DeployError
from clipper.core.types import (
    BatchOutputs,
    Deployment,
    Description,
    Input,
    InputType,
    Output,
    ReplicaId,
)
from clipper.deploy.manager import Container, ContainerSpec, Exit
from clipper.serving.engine import Bounds
from clipper.serving.services import Services
from clipper.state.memory import MemoryStore

BROKEN = "/models/broken"
"""A path whose container cannot be started."""


class FakeContainer:
    """Runs until it is stopped or killed."""

    def __init__(self, replica: ReplicaId, pid: int) -> None:
        self.replica = replica
        self.address = f"unix:/run/{pid}.sock"
        self.token = "secret"
        self.identity = f"pid {pid}"
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        """Return when it has ended."""
        return await asyncio.shield(self._exit)

    async def stop(self, grace_s: float) -> None:
        """End it."""
        self.end(Exit(0, "exited with code 0"))

    def end(self, exit: Exit) -> None:
        """It ends in this way, unless it did."""
        if not self._exit.done():
            self._exit.set_result(exit)


class FakeManager:
    """Starts what the test has not broken."""

    name = "process"

    def __init__(self) -> None:
        self.containers: dict[ReplicaId, FakeContainer] = {}
        self.lines: dict[ReplicaId, list[str]] = {}
        self.opens = asyncio.Event()
        """Cleared, nothing starts until it is set."""
        self.needed: list[Deployment] | None = None
        """What it was last told to keep; None if it never was."""
        self.opens.set()
        self._pids = count(4711)

    async def open(self) -> None:
        """There is nothing to check."""

    async def start(self, spec: ContainerSpec) -> Container:
        """A container that is ready at once."""
        await self.opens.wait()
        if spec.deployment.path == BROKEN:
            raise DeployError(f"{spec.replica} exited with code 1. Its last lines:\n  no such file")
        container = FakeContainer(spec.replica, next(self._pids))
        self.containers[spec.replica] = container
        return container

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        """The last of the lines that the test gave the replica."""
        return self.lines.get(replica, [])[-tail:]

    async def forget(self, deployments: Collection[Deployment]) -> None:
        """What is still needed is remembered."""
        self.needed = list(deployments)

    async def close(self) -> None:
        """Everything was stopped already."""


class FakeLink:
    """A connection to a model that answers 0."""

    def __init__(self, id: ReplicaId, input_type: InputType | None = InputType.FLOATS) -> None:
        self.id = id
        self.input_type = input_type
        self.description = Description()

    async def connect(self) -> None:
        """Loaded."""

    async def broken(self) -> None:
        """It never breaks."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Gone."""

    async def predict(self, inputs: Sequence[Input]) -> BatchOutputs:
        """A zero for each input."""
        return BatchOutputs([Output(0, b"0")] * len(inputs), 0.001)


def connect(replica: ReplicaId, input_type: InputType | None, address: str, token: str) -> FakeLink:
    """The connector that goes with them."""
    return FakeLink(replica, input_type)


async def make_services(manager: FakeManager) -> Services:
    """A serving layer in which nothing is registered; its owner closes it."""
    store = MemoryStore()
    await store.open()
    services = Services(store, {"process": manager}, connect, Bounds())
    await services.catalogue.load()
    return services
