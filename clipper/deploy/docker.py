"""Replicas as Docker containers, reached over a port that only this machine can reach.

A thread waits for the end of each container; every other call to the engine goes through a small
pool of our own, so that an engine that hangs holds up nothing else of the daemon. Containers bear
labels: the data directory's, by which the next start of a killed daemon finds what is left, and the
run's, by which the reaper does so at once.
"""

import asyncio
import contextlib
import logging
import secrets
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TypeVar, TypeVarTuple

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks, supervise
from clipper.core.types import Deployment, ReplicaId
from clipper.deploy import docker_cleanup
from clipper.deploy.child import how_it_ended
from clipper.deploy.docker_engine import LABEL, Engine, Launch, Limits
from clipper.deploy.docker_launch import launch_of
from clipper.deploy.instance import claim, instance_id
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import EXIT_LINES, LogFile, lines_of, log_path
from clipper.deploy.manager import ContainerSpec, Exit

CALLS_AT_ONCE = 8
CLOSE_GRACE_S = 5.0
LOST_AFTER_S = 30.0
KEPT_LINES = 2_000
DEFAULT_LIMITS = Limits()

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

log = logging.getLogger(__name__)


class EngineCalls:
    """Runs blocking calls to an engine in threads of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, "docker")

    def submit(self, call: Callable[[*Ts], T], *args: *Ts) -> "asyncio.Future[T]":
        """Start a call; it goes on when its caller is cancelled."""
        return asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    async def close(self) -> None:
        """Wait for the calls still running, and take no more."""
        await asyncio.to_thread(self._pool.shutdown)


class DockerContainer:
    """A model in a Docker container."""

    def __init__(
        self, replica: ReplicaId, token: str, container_id: str, port: int, calls: EngineCalls
    ) -> None:
        self.replica = replica
        self.address = f"127.0.0.1:{port}"
        self.token = token
        self.id = container_id
        self.identity = f"docker {container_id[:12]}"
        self._calls = calls
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    def end(self, result: Exit) -> None:
        """Tell those who wait, unless the container was given up before."""
        if not self._exit.done():
            self._exit.set_result(result)

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def stop(self, grace_s: float) -> None:
        for signal, patience_s in (("SIGTERM", grace_s), ("SIGKILL", LOST_AFTER_S)):
            if not self._exit.done():
                await self._send(signal)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        await self.wait()
        self.end(Exit(None, "lost: the Docker engine does not say whether it has ended"))

    async def _send(self, signal: str) -> None:
        try:
            await self._calls.submit(self._calls.engine.signal, self.id, signal)
        except DeployError as error:
            log.warning("%s: %s", self.replica, error.message)


@dataclass(slots=True)
class Running:
    """What an open manager holds."""

    place: IO[bytes]
    engine: Engine
    calls: EngineCalls
    lifeline: Lifeline
    tasks: Tasks = field(default_factory=Tasks)
    containers: dict[str, DockerContainer | None] = field(default_factory=dict)
    """By name, from before their creation (None) until they are removed."""


class DockerManager:
    """Starts models in containers that see their own files only."""

    name = "docker"

    def __init__(
        self, data_dir: Path, image_prefix: str = "clipper", limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._data_dir = data_dir
        self._image_prefix = image_prefix
        self._limits = limits
        self._running: Running | None = None

    async def open(self) -> None:
        self._running = await asyncio.to_thread(self._prepare)
        lifeline = self._running.lifeline
        self._running.tasks.spawn("reaper", supervise("reaper", lifeline.run))

    def _prepare(self) -> Running:
        """Take our place in the data directory, and tidy up what a killed daemon left behind."""
        instance = instance_id(self._data_dir)
        place = claim(self._data_dir, self.name)
        run = secrets.token_hex(4)
        labels = [f"{LABEL}.run={run}", f"{LABEL}.instance={instance}"]
        last = [sys.executable, "-P", docker_cleanup.__file__, *labels]
        lifeline = Lifeline(f"{instance}.{run}.", last=last)
        try:
            engine = Engine(instance, run, self._limits)
            engine.remove_others(keep=lambda _: False)
            lifeline.start()
        except (DeployError, OSError):
            place.close()
            raise
        return Running(place, engine, EngineCalls(engine), lifeline)

    async def start(self, spec: ContainerSpec) -> DockerContainer:
        token = secrets.token_hex(16)
        launch = await asyncio.to_thread(launch_of, spec, self._image_prefix, token)
        running = self._running
        if running is None:
            raise _closed(spec)
        running.containers[launch.name] = None
        bringing_up = running.calls.submit(_bring_up, running, launch)
        try:
            container_id, port = await asyncio.shield(bringing_up)
            if self._running is not running:
                raise _closed(spec)
            container = DockerContainer(spec.replica, token, container_id, port, running.calls)
            self._follow(running, launch.name, container)
        except BaseException:  # cancelled, most of all: the call goes on, and its work is undone
            bringing_up.add_done_callback(partial(_abandon, running, launch.name))
            raise
        running.containers[launch.name] = container
        return container

    def _follow(self, running: Running, name: str, container: DockerContainer) -> None:
        """Wait for its end in a thread of its own: a pool would have to have one for each."""
        file = LogFile(log_path(self._data_dir, container.replica))
        loop = asyncio.get_running_loop()

        def ended(result: Exit) -> None:
            running.containers.pop(name, None)
            container.end(result)

        def follow() -> None:
            result = _outcome(running.engine, container.id, file)
            with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits
                loop.call_soon_threadsafe(ended, result)

        try:
            threading.Thread(target=follow, name=f"wait {container.id}", daemon=True).start()
        except RuntimeError as error:
            raise DeployError(
                f"no thread can be started for {container.replica}: {error}",
                hint="Check the limit on processes, which counts threads too.",
            ) from error

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        if tail <= 0:
            return []
        lines = await asyncio.to_thread(LogFile(log_path(self._data_dir, replica)).tail, tail)
        running = self._running
        for container in tuple(running.containers.values()) if running else ():
            if running and container and container.replica == replica:
                call = running.calls.submit(running.engine.output, container.id, tail)
                lines += lines_of(await call)
        return lines[-tail:]

    async def forget(self, deployments: Collection[Deployment]) -> None:
        """Nothing goes: a version has nothing here but its containers and its logs."""

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        started = [each for each in running.containers.values() if each]
        await asyncio.gather(*(each.stop(CLOSE_GRACE_S) for each in started))
        await running.calls.close()
        await asyncio.to_thread(_tidy_up, running.engine)
        await running.tasks.cancel()
        await running.lifeline.close()
        running.place.close()


def _closed(spec: ContainerSpec) -> DeployError:
    return DeployError(f"{spec.replica} cannot be started: its manager is closed")


def _bring_up(running: Running, launch: Launch) -> tuple[str, int]:
    """Start a container, and first remove what an engine that was away could not."""
    try:
        running.engine.remove_others(keep=running.containers.__contains__)
    except DeployError as error:
        log.warning("%s", error.message)
    running.engine.ensure_network()
    container_id = running.engine.launch(launch)
    return container_id, running.engine.port(container_id)


def _abandon(running: Running, name: str, bringing_up: "asyncio.Future[tuple[str, int]]") -> None:
    """Undo a start that nobody waits for any more, or that failed."""
    running.containers.pop(name, None)
    if bringing_up.cancelled() or bringing_up.exception():
        return
    container_id, _ = bringing_up.result()
    with contextlib.suppress(RuntimeError):  # closed: it is swept up with the rest
        running.calls.submit(_remove, running.engine, container_id)


def _outcome(engine: Engine, container_id: str, file: LogFile) -> Exit:
    """Block until a container has ended, keep its log, and remove it."""
    try:
        ended = engine.wait(container_id)
    except DeployError as error:  # should it still run, the next start removes it
        return Exit(None, error.message)
    output = b""
    with contextlib.suppress(DeployError):
        output = engine.output(container_id, KEPT_LINES)
        file.append(output)
    _remove(engine, container_id)
    reason = how_it_ended(ended.code, ended.out_of_memory)
    return Exit(ended.code, reason, tuple(lines_of(output)[-EXIT_LINES:]))


def _remove(engine: Engine, container_id: str) -> None:
    """Remove a container; if that fails, the next start does it."""
    with contextlib.suppress(DeployError):
        engine.remove(container_id)


def _tidy_up(engine: Engine) -> None:
    """Leave nothing at the engine; if that fails, the next start does it."""
    try:
        engine.remove_others(keep=lambda _: False)
        engine.remove_network()
    except DeployError as error:
        log.warning("%s", error.message)
    engine.close()
