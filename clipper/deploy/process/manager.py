"""Replicas as child processes of the daemon, reached over unix sockets that only its user can open.

A model that asks for no packages runs in the daemon's own interpreter, if that has its framework;
every other in an environment that is built for what it needs. It is given variables of its own, its
standard streams and nothing else of the daemon's, and `fence.py` says what it cannot do. That is no
fence against hostile code: it has the user of the daemon, whose files, network and other processes
are open to it. Nor is pip fenced off from anything, and packages bring code that it runs.

Nothing of them outlives the daemon: each is in a process group that a reaper will kill when the
daemon is gone, and carries a mark in its environment by which what left the group is found.
"""

import asyncio
import contextlib
import itertools
import secrets
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO

from clipper.core.errors import DeployError, InvalidInput
from clipper.core.tasks import Tasks, supervise
from clipper.core.types import Deployment, ReplicaId
from clipper.deploy.instance import claim, instance_id
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import LogFile, log_path
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.process.building import Builder, python_in
from clipper.deploy.process.child import Child
from clipper.deploy.process.container import ProcessContainer
from clipper.deploy.process.environments import Environments
from clipper.deploy.process.interpreter import Interpreter, examine
from clipper.deploy.process.launch import (
    Program,
    command_of,
    packages_of,
    plain_variables,
    program_of,
    settings_of,
    variables_of,
)
from clipper.deploy.process.runtime_dir import is_ours, private_dir
from clipper.deploy.reaper import MARK_VARIABLE, kill_marked

CLOSE_GRACE_S = 5.0


@dataclass(slots=True)
class Running:
    """What an open manager holds."""

    place: IO[bytes]
    mark: str
    """How the marks of all our children begin."""
    numbers: Iterator[int]
    sockets: Path
    lifeline: Lifeline
    interpreter: Interpreter
    environments: Environments
    tasks: Tasks = field(default_factory=Tasks)
    containers: set[ProcessContainer] = field(default_factory=set)


class ProcessManager:
    """Starts models as children of the daemon, from the SDK that came with it."""

    name = "process"

    def __init__(
        self,
        data_dir: Path,
        python: str = sys.executable,
        pip_variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`pip_variables` are what pip, and no model, gets of the daemon's environment."""
        self._data_dir = data_dir
        self._pip_variables = pip_variables
        self._python = Path(python)
        self._running: Running | None = None

    async def open(self) -> None:
        running = self._running = await asyncio.to_thread(self._prepare)
        running.tasks.spawn("reaper", supervise("reaper", running.lifeline.run))
        await running.environments.sweep()

    def _prepare(self) -> Running:
        """Take our place in the data directory, and tidy up what a killed daemon left in it."""
        interpreter = examine(self._python, plain_variables(self._python, self._data_dir))
        instance = instance_id(self._data_dir)
        place = claim(self._data_dir, self.name)
        try:
            kill_marked(f"{instance}.")
            mark = f"{instance}.{secrets.token_hex(4)}."
            sockets = private_dir(f"clipper-{instance}-")
            lifeline = Lifeline(mark, sockets)
            lifeline.start()
        except OSError as error:
            place.close()
            raise DeployError(
                f"containers cannot be run as processes: {error}",
                hint="Check free disk space and the limits on processes and open files.",
            ) from error
        numbers = itertools.count()
        builder = Builder(self._python, self._pip_variables, lifeline, mark, numbers)
        environments = Environments(self._data_dir / "environments", interpreter.abi, builder.build)
        return Running(place, mark, numbers, sockets, lifeline, interpreter, environments)

    async def start(self, spec: ContainerSpec) -> ProcessContainer:
        running = self._open(spec)
        program = await asyncio.to_thread(program_of, spec, running.interpreter)
        environment = None
        if program.packages:
            log = LogFile(log_path(self._data_dir, spec.replica))
            environment = await running.environments.get(program.packages, log)
        # In one go from here, so that a cancelled caller leaves no process behind, and nobody
        # takes the environment for unused.
        return self._launch(self._open(spec), spec, program, environment)

    def _open(self, spec: ContainerSpec) -> Running:
        if self._running is None:
            raise DeployError(f"{spec.replica} cannot be started: its manager is closed")
        return self._running

    def _launch(
        self, running: Running, spec: ContainerSpec, program: Program, environment: Path | None
    ) -> ProcessContainer:
        number = next(running.numbers)
        mark = f"{running.mark}{number}."
        token = secrets.token_hex(16)
        python = python_in(environment) if environment else self._python
        variables = variables_of(spec, python, running.sockets) | program.options
        variables |= {"CLIPPER_CONTAINER_TOKEN": token, MARK_VARIABLE: mark}
        try:
            if not is_ours(running.sockets):  # somebody tidied up the temporary files
                running.sockets.mkdir(mode=0o700)
            socket = running.sockets / f"{number}.sock"
            variables |= settings_of(spec, program, socket)
            command = command_of(spec, python, program, socket)
            child = Child(command, variables, spec.deployment.memory_bytes)
        except OSError as error:
            raise DeployError(
                f"no process can be started for {spec.replica}: {error}",
                hint="Check the limits on processes and open files, and free memory.",
            ) from error
        container = ProcessContainer(spec, socket, token, child, environment)
        running.containers.add(container)
        call = self._follow(running, container, mark)
        running.tasks.spawn(f"follow {spec.replica}", call)
        return container

    async def _follow(self, running: Running, container: ProcessContainer, mark: str) -> None:
        log = LogFile(log_path(self._data_dir, container.replica))
        try:
            await container.follow(mark, running.lifeline, log)
        finally:
            running.containers.discard(container)

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        file = LogFile(log_path(self._data_dir, replica))
        return await asyncio.to_thread(file.tail, tail)

    async def forget(self, deployments: Collection[Deployment]) -> None:
        """Remove environments; logs stay, for they are bounded and tell of what was."""
        if self._running is None:
            return
        running = self._running
        needed = set()
        for deployment in deployments:
            with contextlib.suppress(InvalidInput):  # it has none, then
                if packages := packages_of(deployment, running.interpreter):
                    needed.add(running.environments.digest(packages))
        in_use = {each.environment for each in running.containers if each.environment}
        await running.environments.keep(needed, in_use)

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        await running.environments.close()
        await asyncio.gather(*(each.stop(CLOSE_GRACE_S) for each in running.containers))
        await running.tasks.cancel()
        await running.lifeline.close()
        running.place.close()
