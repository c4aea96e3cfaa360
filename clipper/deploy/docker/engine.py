"""The Docker engine as the Docker manager sees it: few calls, all blocking, errors translated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound

from clipper.core.types import NAME, ModelId, ReplicaId
from clipper.deploy.docker.cleanup import CONFLICT, NOT_FOUND, labelled, remove
from clipper.deploy.docker.client import translated
from clipper.deploy.docker.images import Images
from clipper.deploy.docker.network import Networks
from clipper.deploy.docker.request import (
    INSTANCE_LABEL,
    LAUNCH_LABEL,
    PORT,
    REPLICA_LABELS,
    TOKEN_VARIABLE,
    Launch,
    digest,
    request,
)

SIGNALS_FROM = 128
"""A container whose process a signal ended reports this plus the signal's number."""
NOWHERE = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Located:
    """A container, and how it is reached."""

    id: str
    token: str
    address: str
    """Where the daemon calls it."""
    addresses: frozenset[str]
    """All from which it could call somebody."""


@dataclass(frozen=True, slots=True)
class Found:
    """A container of ours, as the engine lists it."""

    id: str
    name: str
    replica: ReplicaId | None
    """None where its labels name none."""
    launch: str
    """The digest of what was asked for."""
    is_well: bool
    """Whether it runs, and its own check of its health has not failed."""
    addresses: frozenset[str] = frozenset()
    """All from which it could call somebody."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended."""

    code: int
    """Its exit code; negative for the signal that killed it."""
    out_of_memory: bool
    """Whether the kernel has killed a process of it for that."""


class Engine:
    """The containers of one instance."""

    def __init__(self, client: DockerClient, instance: str) -> None:
        self.networks = Networks(client, instance)
        self.images = Images(client, instance)
        self._client = client
        self._labels = {INSTANCE_LABEL: instance}
        self._label = f"{INSTANCE_LABEL}={instance}"

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def found(self) -> list[Found]:
        """All containers of this instance, running or not."""
        with translated("the containers of this daemon cannot be listed"):
            return [_found(one.attrs) for one in labelled(self._client, self._label)]

    def digest(self, launch: Launch) -> str:
        """What a container has to bear as its label to be the one that the launch would start."""
        return digest(launch, self.networks.own, self.images.id_of(launch.image))

    def launch(self, launch: Launch) -> Located:
        """Create and start a container. Nothing is left of one that fails."""
        asked = request(launch, self.networks.own)
        asked["environment"][TOKEN_VARIABLE] = launch.token
        labels = {**self._labels, **launch.labels, LAUNCH_LABEL: self.digest(launch)}
        other = self.networks.find(launch.network) if launch.network else None
        self.networks.ensure()
        with translated(f"the container {launch.name} cannot be started"):
            container = self._client.containers.create(
                launch.image, name=launch.name, labels=labels, **asked
            )
            try:
                if other is not None:
                    other.connect(container)
                container.start()
            except BaseException:
                remove(container)
                raise
        return self.look(str(container.id))

    def look(self, container_id: str) -> Located:
        """Where a container is, and with which token it was started."""
        with translated(f"the container {container_id[:12]} cannot be looked at"):
            attributes = self._client.api.inspect_container(container_id)
        networks = attributes["NetworkSettings"]["Networks"]
        own = networks.get(self.networks.own, {}).get("IPAddress")
        variables = dict(each.partition("=")[::2] for each in attributes["Config"]["Env"] or ())
        return Located(
            id=container_id,
            token=variables.get(TOKEN_VARIABLE, ""),
            address=f"{own}:{PORT}" if own else NOWHERE,  # none: it has ended
            addresses=frozenset(_addresses(networks)),
        )

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
            except APIError as error:
                if error.status_code not in (NOT_FOUND, CONFLICT):
                    raise


def _found(listed: Mapping[str, Any]) -> Found:
    labels: Mapping[str, str] = listed["Labels"] or {}
    name, version, index = (labels.get(label, "") for label in REPLICA_LABELS)
    return Found(
        id=listed["Id"],
        name=(listed["Names"] or ("",))[0].removeprefix("/"),
        replica=_replica(name, version, index),
        launch=labels.get(LAUNCH_LABEL, ""),
        is_well=listed["State"] == "running" and "(unhealthy)" not in listed["Status"],
        addresses=frozenset(
            _addresses((listed.get("NetworkSettings") or {}).get("Networks") or {})
        ),
    )


def _replica(name: str, version: str, index: str) -> ReplicaId | None:
    if not (NAME.match(name) and NAME.match(version) and index.isdecimal()):
        return None
    return ReplicaId(ModelId(name, version), int(index))


def _addresses(networks: Mapping[str, Mapping[str, str]]) -> list[str]:
    kinds = ("IPAddress", "GlobalIPv6Address")
    return [one[kind] for one in networks.values() for kind in kinds if one.get(kind)]
