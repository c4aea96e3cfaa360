"""A container manager without containers; it passes the same suite as those that have some."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from clipper.core.errors import DeployError
from clipper.core.types import Deployment, ReplicaId
from clipper.deploy.manager import ContainerSpec, Exit


@dataclass(frozen=True, slots=True)
class Script:
    """What a model does as soon as it is started, in place of serving until it is told to end."""

    lines: tuple[str, ...] = ()
    exits_with: int | None = None
    ignores_sigterm: bool = False
    installing_s: float = 0.0
    """How long it takes before it can be started."""


SERVES = Script(("Serving",))


class FakeContainer:
    """Runs until it is stopped, or ended by the test or its script."""

    def __init__(self, spec: ContainerSpec, number: int, script: Script) -> None:
        self.spec = spec
        self.replica = spec.replica
        self.address = f"unix:/fake/{number}.sock"
        self.token = f"token {number}"
        self.identity = f"fake {number}"
        self._script = script
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        if script.exits_with is not None:
            self.end(script.exits_with, f"exited with code {script.exits_with}")

    @property
    def is_running(self) -> bool:
        return not self._exit.done()

    def end(self, code: int | None, reason: str) -> None:
        """It ends now, in this way; nothing happens if it has ended."""
        if self.is_running:
            self._exit.set_result(Exit(code, reason, self._script.lines))

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def stop(self, grace_s: float) -> None:
        if not self._script.ignores_sigterm:
            self.end(0, "exited with code 0")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.wait()
        self.end(-9, "killed by SIGKILL")


class FakeManager:
    """Starts fakes by the scripts it was given, one for each path; other paths serve."""

    name = "fake"

    def __init__(
        self, scripts: Mapping[str, Script] | None = None, missing: Collection[str] = ()
    ) -> None:
        self.started: list[FakeContainer] = []
        """Every container there ever was, oldest first."""
        self.needed: list[Deployment] | None = None
        """What it was last told to keep; None if it never was."""
        self._scripts = {} if scripts is None else scripts
        self._missing = missing
        self._lines: dict[ReplicaId, list[str]] = {}
        self._numbers = count(1)
        self._is_open = False

    async def open(self) -> None:
        self._is_open = True

    async def start(self, spec: ContainerSpec) -> FakeContainer:
        path = spec.deployment.path
        if path in self._missing:
            raise DeployError(f"the model's file {path!r} cannot be found", hint="Check the path.")
        if not self._is_open:
            raise DeployError(f"{spec.replica} cannot be started: its manager is closed")
        script = self._scripts.get(path, SERVES)
        if script.installing_s:
            await asyncio.sleep(script.installing_s)
        container = FakeContainer(spec, next(self._numbers), script)
        self.started.append(container)
        self._lines.setdefault(spec.replica, []).extend(script.lines)
        return container

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        return self._lines.get(replica, [])[-tail:] if tail > 0 else []

    async def forget(self, deployments: Collection[Deployment]) -> None:
        self.needed = list(deployments)

    async def close(self) -> None:
        self._is_open = False
        for container in self.started:
            await container.stop(0)
