"""Replicas as child processes of the daemon, reached over unix sockets that only its user can open.

Nothing of them outlives the daemon: each is in a process group that a reaper will kill when the
daemon is gone, and carries a mark in its environment by which what left the group is found.
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks, supervise
from clipper.core.types import Deployment, ReplicaId
from clipper.deploy.child import Child
from clipper.deploy.instance import claim, instance_id
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import LogFile, LogPump, log_path
from clipper.deploy.manager import ContainerSpec, Exit
from clipper.deploy.program import (
    ONE_THREAD,
    Code,
    containers_dir,
    options_of,
    saved_model,
    target_of,
    user_code,
)
from clipper.deploy.reaper import MARK_VARIABLE, kill_marked

LAST_WORDS_S = 1.0
CLOSE_GRACE_S = 5.0
RUNTIME_DIR_BYTES = 80  # leaves room for a file's name in the 107 bytes of a socket's path


class ProcessContainer:
    """A model in a child process."""

    def __init__(self, replica: ReplicaId, socket: Path, token: str, child: Child) -> None:
        self.replica = replica
        self.address = f"unix:{socket}"
        self.token = token
        self.identity = f"pid {child.pid}"
        self.socket = socket
        self.child = child
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        return await asyncio.shield(self.exit)

    async def stop(self, grace_s: float) -> None:
        self.child.ask_to_end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.wait()
        self.child.kill()
        await self.wait()


@dataclass(slots=True)
class Running:
    """What an open manager holds."""

    place: IO[bytes]
    mark: str
    """How the marks of all our containers begin."""
    sockets: Path
    lifeline: Lifeline
    tasks: Tasks = field(default_factory=Tasks)
    containers: set[ProcessContainer] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=itertools.count)


class ProcessManager:
    """Starts models as children of the daemon, from the SDK that came with it."""

    name = "process"

    def __init__(self, data_dir: Path, python: str = sys.executable) -> None:
        self._data_dir = data_dir
        self._python = python
        self._running: Running | None = None

    async def open(self) -> None:
        if not os.access(self._python, os.X_OK):
            raise DeployError(
                f"the Python interpreter {self._python} cannot be run",
                hint="Name one that has the package clipper-container.",
            )
        self._running = await asyncio.to_thread(self._prepare)
        lifeline = self._running.lifeline
        self._running.tasks.spawn("reaper", supervise("reaper", lifeline.run))

    def _prepare(self) -> Running:
        """Take our place in the data directory, and tidy up what a killed daemon left in it."""
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
        return Running(place, mark, sockets, lifeline)

    async def start(self, spec: ContainerSpec) -> ProcessContainer:
        code, model = await asyncio.to_thread(find_program, spec.deployment)
        if self._running is None:
            raise DeployError(f"{spec.replica} cannot be started: its manager is closed")
        return self._launch(self._running, spec, code, model)

    def _launch(
        self, running: Running, spec: ContainerSpec, code: Code, model: Path | None
    ) -> ProcessContainer:
        """Start the process; in one go, so that a cancelled caller leaves none behind."""
        number = next(running.numbers)
        mark = f"{running.mark}{number}."
        token = secrets.token_hex(16)
        try:
            if not is_ours(running.sockets):  # somebody tidied up the temporary files
                running.sockets.mkdir(mode=0o700)
            socket = running.sockets / f"{number}.sock"
            command = self._command(spec, code, model, socket)
            options = options_of(spec.deployment, user_code(spec.deployment))
            child = Child(command, self._environment(running, token, mark) | options)
        except OSError as error:
            raise DeployError(
                f"no process can be started for {spec.replica}: {error}",
                hint="Check the limits on processes and open files, and free memory.",
            ) from error
        running.lifeline.hold(child.pid)
        container = ProcessContainer(spec.replica, socket, token, child)
        running.containers.add(container)
        running.tasks.spawn(f"follow {spec.replica}", self._follow(running, container, mark))
        return container

    def _command(
        self, spec: ContainerSpec, code: Code, model: Path | None, socket: Path
    ) -> list[str]:
        name, version = spec.replica.model
        # -P: the working directory is no place to import from.
        command = [self._python, "-P", "-m", "clipper_container", str(code)]
        command += ["--listen", f"unix:{socket}", "--input-type", spec.accepted]
        command += ["--name", name, "--version", version]
        return command + (["--model-data", str(model)] if model else [])

    def _environment(self, running: Running, token: str, mark: str) -> dict[str, str]:
        """All that a model sees of ours: nothing is inherited, least of all the daemon's tokens."""
        try:
            home = str(Path.home())
        except RuntimeError:  # this user has none
            home = str(running.sockets)
        return {
            "PATH": f"{Path(self._python).parent}:/usr/local/bin:{os.defpath}",
            "HOME": home,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(containers_dir() / "python"),
            "PYTHONUNBUFFERED": "1",
            "CLIPPER_CONTAINER_TOKEN": token,
            MARK_VARIABLE: mark,
            **ONE_THREAD,
        }

    async def _follow(self, running: Running, container: ProcessContainer, mark: str) -> None:
        """Wait for the process's end and leave nothing of it but its log."""
        child = container.child
        file = LogFile(log_path(self._data_dir, container.replica))
        pump = LogPump(child.output.fileno(), file)
        printing = running.tasks.spawn(f"log {container.replica}", pump.run())
        await child.ended()
        code, reason = child.bury()
        try:
            running.lifeline.release(child.pid)
            await asyncio.to_thread(kill_marked, mark)  # whoever left the group
            await asyncio.wait([printing], timeout=LAST_WORDS_S)
            printing.cancel()
            await asyncio.wait([printing])
            child.output.close()
            with contextlib.suppress(OSError):
                container.socket.unlink()
        finally:
            # Whatever became of the rest: who waits for the end must learn of it.
            running.containers.discard(container)
            container.exit.set_result(Exit(code, reason, pump.recent()))

    async def logs(self, replica: ReplicaId, tail: int) -> Sequence[str]:
        file = LogFile(log_path(self._data_dir, replica))
        return await asyncio.to_thread(file.tail, tail)

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        await asyncio.gather(*(each.stop(CLOSE_GRACE_S) for each in running.containers))
        await running.tasks.cancel()
        await running.lifeline.close()
        running.place.close()


def find_program(deployment: Deployment) -> tuple[Code, Path | None]:
    """What a child is to load: the class, and the saved model if there is one.

    Raises:
        DeployError: something of it does not exist.
    """
    return target_of(deployment), saved_model(deployment)


def is_ours(folder: Path) -> bool:
    """Whether it is there and nobody else's."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def private_dir(prefix: str) -> Path:
    """A new directory of our own, with a short path; older ones of the same prefix go."""
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent / prefix)) > RUNTIME_DIR_BYTES:
        parent = Path("/tmp")
    for old in parent.glob(f"{prefix}*"):
        shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
