"""Replicas as Docker containers, reached over a network that leads nowhere but to this machine.

Containers bear the label of their data directory. When the daemon is killed they go on for a while:
the next daemon on the directory finds them by the label and takes them over, and if there is none,
the reaper removes them. A daemon that ends in order takes its containers with it.
"""

import asyncio
import contextlib
import logging
import secrets
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from types import MappingProxyType
from typing import IO

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks, supervise
from clipper.core.types import Deployment, ReplicaId
from clipper.deploy.docker import cleanup
from clipper.deploy.docker.client import connect
from clipper.deploy.docker.container import DockerContainer, EngineCalls, remove
from clipper.deploy.docker.engine import NOWHERE, Engine, Found, Located
from clipper.deploy.docker.environments import EnvironmentImages, asks_for_packages
from clipper.deploy.docker.image_build import ImageBuilder
from clipper.deploy.docker.launch import launch_of
from clipper.deploy.docker.leftovers import Leftovers, log_file
from clipper.deploy.docker.request import INSTANCE_LABEL, Launch, Limits
from clipper.deploy.instance import claim, instance_id
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import lines_of
from clipper.deploy.manager import ContainerSpec

ORPHAN_GRACE_S = 60.0
"""How long containers outlive a daemon that was killed."""
UNCLAIMED_S = 30.0
"""How long those that are left wait for a daemon that has started to want them."""
CLAIM_S = 15.0
"""How long the reaper of a killed daemon may hold the data directory."""
CLOSE_GRACE_S = 5.0
DEFAULT_LIMITS = Limits()

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Running:
    """What an open manager holds."""

    place: IO[bytes]
    engine: Engine
    leftovers: Leftovers
    lifeline: Lifeline
    calls: EngineCalls
    environments: EnvironmentImages
    tasks: Tasks = field(default_factory=Tasks)
    containers: dict[str, DockerContainer | None] = field(default_factory=dict)
    """By name, from before their creation (None) until they are removed."""

    def clear(self) -> None:
        """Remove what nobody follows; if that fails, a later start does it."""
        try:
            self.leftovers.clear(keep=self.containers.__contains__)
        except DeployError as error:
            log.warning("%s", error.message)


class DockerManager:
    """Starts models in containers that see their own files only."""

    name = "docker"

    def __init__(
        self,
        data_dir: Path,
        image_prefix: str = "clipper",
        limits: Limits = DEFAULT_LIMITS,
        grace_s: float = ORPHAN_GRACE_S,
        build_variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`build_variables` are what a build of an image gets of the daemon's environment."""
        self._data_dir = data_dir
        self._image_prefix = image_prefix
        self._limits = limits
        self._grace_s = grace_s
        self._build_variables = build_variables
        self._running: Running | None = None

    async def open(self) -> None:
        running = self._running = await asyncio.to_thread(self._prepare)
        running.tasks.spawn("reaper", supervise("reaper", running.lifeline.run))
        running.tasks.spawn("leftovers", _sweep(running))

    def _prepare(self) -> Running:
        """Take our place in the data directory, and see what a killed daemon left behind."""
        instance = instance_id(self._data_dir)
        with contextlib.ExitStack() as undo:
            place = undo.enter_context(claim(self._data_dir, self.name, CLAIM_S))
            engine = Engine(connect(), instance)
            undo.callback(engine.close)
            engine.networks.ensure()
            leftovers = Leftovers(engine, self._data_dir, engine.found())
            mark = f"{instance}.docker."
            lifeline = Lifeline(mark, last=self._last_program(place, instance))
            lifeline.start()
            undo.pop_all()
        calls = EngineCalls(engine)
        builder = ImageBuilder(lifeline, mark, self._build_variables)

        def is_made_of(image: str, base: str) -> "asyncio.Future[bool]":
            return calls.submit(engine.images.is_made_of, image, base)

        prefix = self._image_prefix
        environments = EnvironmentImages(prefix, instance, is_made_of, builder.build)
        return Running(place, engine, leftovers, lifeline, calls, environments)

    def _last_program(self, place: IO[bytes], instance: str) -> Sequence[str]:
        """What the reaper does when we are dead."""
        lock = Path(place.name).absolute()
        label = f"{INSTANCE_LABEL}={instance}"
        program = [sys.executable, "-P", cleanup.__file__]
        return [*program, str(lock), str(self._grace_s), label]

    async def start(self, spec: ContainerSpec) -> DockerContainer:
        running = self._running
        if running is None:
            raise _closed(spec)
        with running.environments.starting(spec.deployment):
            return await self._start(running, spec)

    async def _start(self, running: Running, spec: ContainerSpec) -> DockerContainer:
        token = secrets.token_hex(16)
        launch = await asyncio.to_thread(launch_of, spec, self._image_prefix, token, self._limits)
        if asks_for_packages(spec.deployment):
            log = log_file(self._data_dir, spec.replica)
            launch = replace(launch, image=await running.environments.get(spec.deployment, log))
        if self._running is not running:
            raise _closed(spec)
        found = await _adoptable(running, spec.replica, launch)
        name = launch.name if found is None else found.name
        running.containers[name] = None
        bringing_up = running.calls.submit(_bring_up, running, launch, found)
        try:
            located = await asyncio.shield(bringing_up)
            if self._running is not running:
                raise _closed(spec)
            container = DockerContainer(spec.replica, located, running.calls)
            gone = partial(running.containers.pop, name, None)
            container.follow(log_file(self._data_dir, spec.replica), gone)
        except BaseException:  # cancelled, most of all: the call goes on, and its work is undone
            bringing_up.add_done_callback(partial(_abandon, running, name))
            raise
        running.containers[name] = container
        return container

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        if tail <= 0:
            return []
        lines = await asyncio.to_thread(log_file(self._data_dir, replica).tail, tail)
        running = self._running
        for container in tuple(running.containers.values()) if running else ():
            if running and container and container.replica == replica and not container.is_over:
                call = running.calls.submit(running.engine.output, container.id, tail)
                lines += lines_of(await call)
        return lines[-tail:]

    async def forget(self, deployments: Collection[Deployment]) -> None:
        """Remove the images that were built for versions that are not among these."""
        running = self._running
        if running is not None:
            ours = [one for one in deployments if one.manager == self.name]
            named = {one.image for one in ours}
            is_needed = running.environments.needed_by(ours)
            await running.calls.submit(
                running.engine.images.remove_built, lambda name: name in named or is_needed(name)
            )

    def is_caller(self, address: str) -> bool:
        """Whether a model of ours calls from this address."""
        running = self._running
        if running is None:
            return False
        peer = ip_address(address)
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        known = [one.addresses for one in running.containers.values() if one]
        return any(peer in subnet for subnet in running.engine.networks.subnets) or any(
            str(peer) in addresses for addresses in (*known, running.leftovers.addresses)
        )

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        await running.tasks.cancel()
        await running.environments.close()
        started = [each for each in running.containers.values() if each]
        await asyncio.gather(*(each.stop(CLOSE_GRACE_S) for each in started))
        await running.calls.close()
        if await asyncio.to_thread(_tidy_up, running):
            running.lifeline.dismiss()  # else the reaper tries again when this process has ended
        running.place.close()


def _closed(spec: ContainerSpec) -> DeployError:
    return DeployError(f"{spec.replica} cannot be started: its manager is closed")


async def _adoptable(running: Running, replica: ReplicaId, launch: Launch) -> Found | None:
    """A container that runs already and is what the launch would start."""
    if not running.leftovers.are_there(replica):
        return None
    digest = await running.calls.submit(running.engine.digest, launch)
    return running.leftovers.take(replica, digest)


def _bring_up(running: Running, launch: Launch, found: Found | None) -> Located:
    """Take a container over, or start one, and first remove what an engine away could not."""
    if found is None:
        running.clear()
        return running.engine.launch(launch)
    located = running.engine.look(found.id)
    if located.address == NOWHERE:
        raise DeployError(f"the container {found.name} ended before it was taken over")
    extra = {"action": "container_adopted", "container": found.name}
    log.info("The container %s, which has been running, is taken over", found.name, extra=extra)
    return located


def _abandon(running: Running, name: str, bringing_up: "asyncio.Future[Located]") -> None:
    """Undo a start that nobody waits for any more, or that failed."""
    running.containers.pop(name, None)
    if bringing_up.cancelled() or bringing_up.exception():
        return
    with contextlib.suppress(RuntimeError):  # closed: it is swept up with the rest
        running.calls.submit(remove, running.engine, bringing_up.result().id)


async def _sweep(running: Running) -> None:
    """Remove what an earlier daemon has left: at once what is of no use, the rest in a while."""
    await running.calls.submit(running.clear)
    await asyncio.sleep(UNCLAIMED_S)
    running.leftovers.give_up()
    await running.calls.submit(running.clear)


def _tidy_up(running: Running) -> bool:
    """Leave nothing at the engine; False where that failed, and something may be left."""
    running.leftovers.give_up()
    try:
        running.leftovers.clear(keep=lambda _: False)
        running.engine.networks.remove()
    except DeployError as error:
        log.warning("%s", error.message)
        return False
    finally:
        running.engine.close()
    return True
