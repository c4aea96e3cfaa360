"""The Docker engine as the Docker manager sees it: few calls, all blocking, errors translated.

Containers get as little as a model needs: no user but an unprivileged one, no capability, nothing
to write to but /tmp, bounded memory, processes and logs, and a port that only this machine reaches.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import docker
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.networks import Network
from docker.types import LogConfig, Mount
from requests.exceptions import RequestException

from clipper.core.errors import DeployError
from clipper.deploy.docker_cleanup import CONFLICT, NOT_FOUND, labelled, remove

PORT = "7000/tcp"
USER_ID = 10001
LABEL = "ai.clipper"
TIMEOUT_S = 30
CONNECTIONS = 1000
"""At once: each container that runs has one, on which its end is awaited."""
SIGNALS_FROM = 128
"""A container whose process a signal ended reports this plus the signal's number."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one container may use."""

    memory_bytes: int = 4 << 30
    tmp_bytes: int = 256 << 20
    """Its /tmp, which is memory too."""
    processes: int = 512
    cpus: float = 0.0
    """Cores; 0 sets no limit."""
    log_bytes: int = 2 << 20


@dataclass(frozen=True, slots=True)
class Launch:
    """One container to be started."""

    name: str
    image: str
    environment: Mapping[str, str]
    mounts: Mapping[str, Path]
    """Files and folders of this machine by their place in the container, all read-only."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended."""

    code: int
    """Its exit code; negative for the signal that killed it."""
    out_of_memory: bool


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise DeployError for whatever the engine, or the way to it, does wrong."""
    try:
        yield
    except APIError as error:
        reason = str(error.explanation or error).strip()
        raise DeployError(f"{what}: the Docker engine says: {reason}") from error
    except (DockerException, RequestException, OSError, ValueError) as error:
        raise DeployError(
            f"{what}: no Docker engine answers: {error}",
            hint="Start Docker, let this user use its socket, or point DOCKER_HOST at it; "
            "or deploy with the manager `process`.",
        ) from error


class Engine:
    """A connection to the engine, for the containers of one instance."""

    def __init__(self, instance: str, run: str, limits: Limits) -> None:
        """Connect. Raises DeployError where no engine answers."""
        self.network = f"clipper-{instance}"
        self._labels = {f"{LABEL}.instance": instance, f"{LABEL}.run": run}
        self._limits = limits
        self._making_network = Lock()
        with translated("containers cannot be run with Docker"):
            self._client: DockerClient = docker.from_env(
                timeout=TIMEOUT_S, max_pool_size=CONNECTIONS
            )

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ensure_network(self) -> None:
        """Make the bridge that our containers share; they cannot reach one another over it."""
        # The engine makes two of a name when two ask at once, and then finds the name ambiguous.
        with translated(f"the network {self.network} cannot be made"), self._making_network:
            if not self._networks():
                self._client.networks.create(
                    self.network,
                    driver="bridge",
                    labels=self._labels,
                    options={"com.docker.network.bridge.enable_icc": "false"},
                )

    def remove_network(self) -> None:
        """Remove the bridge, which has to be without containers."""
        with translated(f"the network {self.network} cannot be removed"):
            for network in self._networks():
                network.remove()

    def _networks(self) -> list[Network]:
        return self._client.networks.list(names=[f"^{self.network}$"])

    def remove_others(self, keep: Callable[[str], bool]) -> None:
        """Remove the containers of this instance, of whatever run, that are not kept by name."""
        label = f"{LABEL}.instance={self._labels[f'{LABEL}.instance']}"
        with translated("containers that were left behind cannot be removed"):
            for container in labelled(self._client, label):
                names = container.attrs["Names"] or ()
                if not any(keep(name.removeprefix("/")) for name in names):
                    remove(container)

    def launch(self, launch: Launch) -> str:
        """Create and start a container; returns its id. Nothing is left of one that fails."""
        with translated(f"the container {launch.name} cannot be started"):
            try:
                container = self._client.containers.create(
                    launch.image,
                    name=launch.name,
                    environment=dict(launch.environment),
                    labels=self._labels | dict(launch.labels),
                    mounts=[
                        Mount(target, str(source), type="bind", read_only=True)
                        for target, source in launch.mounts.items()
                    ],
                    **self._confinement(),
                )
            except ImageNotFound as error:
                raise DeployError(
                    f"there is no image {launch.image}",
                    hint="Build it with `docker/build.sh` from the source tree, pull it, or name "
                    "one that exists in the deployment's `image`.",
                ) from error
            try:
                container.start()
            except BaseException:
                remove(container)
                raise
            return str(container.id)

    def _confinement(self) -> dict[str, Any]:
        limits = self._limits
        return {
            "init": True,  # as process 1, a model's server would not heed signals while it loads
            "user": f"{USER_ID}:{USER_ID}",
            "read_only": True,
            "tmpfs": {"/tmp": f"rw,nosuid,nodev,mode=1777,size={limits.tmp_bytes}"},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "mem_limit": limits.memory_bytes,
            "memswap_limit": limits.memory_bytes,  # the same: no swap
            "pids_limit": limits.processes,
            "nano_cpus": int(limits.cpus * 1e9),
            "ports": {PORT: ("127.0.0.1", None)},
            "network": self.network,
            "log_config": LogConfig(
                type=LogConfig.types.JSON,
                config={"max-size": str(limits.log_bytes // 2), "max-file": "2"},
            ),
        }

    def port(self, container_id: str) -> int:
        """The port of this machine where the container is reached; 0 once it has ended."""
        with translated(f"the container {container_id[:12]} cannot be looked at"):
            attributes = self._client.api.inspect_container(container_id)
        published = attributes["NetworkSettings"]["Ports"].get(PORT) or []
        return int(published[0]["HostPort"]) if published else 0

    def wait(self, container_id: str) -> Ended:
        """Block until the container has ended, however long it takes."""
        with translated(f"the container {container_id[:12]} was lost"):
            self._client.api.wait(container_id, timeout=None)
            state = self._client.api.inspect_container(container_id)["State"]
        code = int(state["ExitCode"])
        return Ended(SIGNALS_FROM - code if code > SIGNALS_FROM else code, state["OOMKilled"])

    def signal(self, container_id: str, name: str) -> None:
        """Send a signal; it is no error if the container has ended or is gone."""
        with translated(f"the container {container_id[:12]} cannot be sent {name}"):
            try:
                self._client.api.kill(container_id, signal=name)
            except APIError as error:
                if error.status_code not in (NOT_FOUND, CONFLICT):
                    raise

    def output(self, container_id: str, lines: int) -> bytes:
        """The last lines that a container printed; nothing of one that is gone."""
        with translated(f"the log of {container_id[:12]} cannot be read"):
            try:
                return bytes(self._client.api.logs(container_id, tail=lines))
            except NotFound:
                return b""

    def remove(self, container_id: str) -> None:
        """Kill and remove a container, unless it is gone."""
        with translated(f"the container {container_id[:12]} cannot be removed"):
            try:
                self._client.api.remove_container(container_id, force=True, v=True)
            except NotFound:
                return
