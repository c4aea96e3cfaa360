"""What a container manager does: it starts, watches and stops the containers of replicas.

A manager knows nothing of queries, restarts or back-off; the serving layer decides when to start
another. Every container it ever started is gone when the daemon is; after kill -9, within a grace
in which the daemon's next start may take it over.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from clipper.core.types import Deployment, InputType, ReplicaId


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What to run."""

    replica: ReplicaId
    input_type: InputType | None
    """None where the model itself is to say."""
    deployment: Deployment

    @property
    def accepted(self) -> str:
        """The input type that the container is told to accept."""
        return "any" if self.input_type is None else self.input_type.value


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended."""

    code: int | None
    """The exit code; negative is the number of the signal that killed it."""
    reason: str
    """One sentence: "exited with code 1", "killed by SIGKILL", "ran out of memory"."""
    lines: tuple[str, ...] = ()
    """The last lines of its log."""


class Container(Protocol):
    """One running container."""

    replica: ReplicaId
    address: str
    """gRPC target: `unix:/path` or `172.18.0.2:7000`."""
    token: str
    """To be sent with every call."""
    identity: str
    """What an operator would look for: `pid 4711`, `docker 3f2a9c`."""

    async def wait(self) -> Exit:
        """Return when the container has ended; may be awaited by several."""

    async def stop(self, grace_s: float) -> None:
        """Ask it to end, kill it after the grace; returns when it is gone. Idempotent."""


class ContainerManager(Protocol):
    """Starts containers of one kind."""

    name: str

    async def open(self) -> None:
        """Check that containers can be run; remove or take over what a killed daemon left behind.

        Raises:
            DeployError: they cannot; the message says what is missing.
        """

    async def start(self, spec: ContainerSpec) -> Container:
        """Start a container; it may still be loading its model when this returns.

        Raises:
            DeployError: it cannot be started (no such file, image or class).
        """

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        """The last lines of a replica's output, also after it ended; empty if it never ran."""

    async def forget(self, deployments: Collection[Deployment]) -> None:
        """Remove what was made for versions that are deployed no more.

        What none of these deployments needs goes, unless a container that runs or is being started
        does: environments, images.
        """

    async def close(self) -> None:
        """Stop every container still running."""
