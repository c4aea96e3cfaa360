"""A model in a Docker container, from when it runs to when it is gone.

A thread waits for the end of each container; every other call to the engine goes through a small
pool of our own, so that an engine that hangs holds up nothing else of the daemon.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar, TypeVarTuple

from clipper.core.errors import DeployError
from clipper.core.types import ReplicaId
from clipper.deploy.docker.engine import Ended, Engine, Located
from clipper.deploy.docker.leftovers import keep_output
from clipper.deploy.logs import EXIT_LINES, LogFile, lines_of
from clipper.deploy.manager import Exit
from clipper.deploy.process.child import how_it_ended

CALLS_AT_ONCE = 8
LOST_AFTER_S = 30.0

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

    def __init__(self, replica: ReplicaId, located: Located, calls: EngineCalls) -> None:
        self.replica = replica
        self.address = located.address
        self.addresses = located.addresses
        self.token = located.token
        self.id = located.id
        self.identity = f"docker {located.id[:12]}"
        self._calls = calls
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()

    def follow(self, file: LogFile, gone: Callable[[], object]) -> None:
        """Wait for its end in a thread of its own: a pool would have to have one for each.

        How it ended is known before it has been removed, which takes a while.

        Raises:
            DeployError: there cannot be another thread.
        """
        loop = asyncio.get_running_loop()

        def buried() -> None:
            gone()
            self._gone.set()

        def tell(call: Callable[[], object]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits
                loop.call_soon_threadsafe(call)

        def follow() -> None:
            engine = self._calls.engine
            result = _outcome(engine, self.id, file)
            tell(partial(self._end, result))
            if result.code is not None:  # else it may still run, and the next start removes it
                remove(engine, self.id)
            tell(buried)

        try:
            threading.Thread(target=follow, name=f"wait {self.id}", daemon=True).start()
        except RuntimeError as error:
            raise DeployError(
                f"no thread can be started for {self.replica}: {error}",
                hint="Check the limit on processes, which counts threads too.",
            ) from error

    @property
    def is_over(self) -> bool:
        """Whether it has ended; all that it printed is in its log then."""
        return self._exit.done()

    def _end(self, result: Exit) -> None:
        """Tell those who wait, unless the container was given up before."""
        if not self._exit.done():
            self._exit.set_result(result)

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def stop(self, grace_s: float) -> None:
        for signal, patience_s in (("SIGTERM", grace_s), ("SIGKILL", LOST_AFTER_S)):
            if not self.is_over:
                await self._send(signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._gone.wait()
        self._end(Exit(None, "lost: the Docker engine does not say whether it has ended"))

    async def _send(self, signal: str) -> None:
        try:
            await self._calls.submit(self._calls.engine.signal, self.id, signal)
        except DeployError as error:
            log.warning("%s: %s", self.replica, error.message)


def _outcome(engine: Engine, container_id: str, file: LogFile) -> Exit:
    """Block until a container has ended, and keep its log."""
    try:
        ended = engine.wait(container_id)
    except DeployError as error:
        return Exit(None, error.message)
    output = keep_output(engine, container_id, file)
    return Exit(ended.code, _reason(ended), tuple(lines_of(output)[-EXIT_LINES:]))


def _reason(ended: Ended) -> str:
    """The kernel may have killed any process of it: how the first one ended is told as well."""
    reason = how_it_ended(ended.code)
    return f"ran out of memory ({reason})" if ended.out_of_memory else reason


def remove(engine: Engine, container_id: str) -> None:
    """Remove a container; if that fails, the next start does it."""
    with contextlib.suppress(DeployError):
        engine.remove(container_id)
