"""One replica in a child process, from its start to what is said of its end."""

import asyncio
import contextlib
import re
from dataclasses import replace
from pathlib import Path

from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import Log
from clipper.deploy.manager import ContainerSpec, Exit
from clipper.deploy.process.child import Child
from clipper.deploy.process.following import follow

UNKNOWN_END = Exit(None, "lost: its end could not be followed")

NO_MEMORY = re.compile(
    r"MemoryError|bad_alloc|allocat\w+ .*\bmemory\b|\bmemory allocation|(cannot|failed to) map",
    re.IGNORECASE,
)
"""What Python, numpy, PyTorch, OpenBLAS, C++ and the loader say when an allocation fails."""


class ProcessContainer:
    """A model in a child process."""

    def __init__(
        self, spec: ContainerSpec, socket: Path, token: str, child: Child, environment: Path | None
    ) -> None:
        self.replica = spec.replica
        self.address = f"unix:{socket}"
        self.token = token
        self.identity = f"pid {child.pid}"
        self.environment = environment
        """The folder of the one that it runs in, if it is not the manager's own."""
        self._memory_bytes = spec.deployment.memory_bytes
        self._socket = socket
        self._child = child
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def stop(self, grace_s: float) -> None:
        self._child.ask_to_end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.wait()
        self._child.kill()
        await self.wait()

    async def follow(self, mark: str, lifeline: Lifeline, log: Log) -> None:
        """Wait for the process's end and leave nothing of it but its log."""
        end = UNKNOWN_END
        try:
            end = await follow(self._child, mark, lifeline, log)
            with contextlib.suppress(OSError):
                self._socket.unlink()
        finally:
            # Whatever became of the rest: who waits for the end must learn of it.
            self._exit.set_result(blame_memory(end, self._memory_bytes))


def blame_memory(end: Exit, memory_bytes: int) -> Exit:
    """The end of what had a limit of memory: say so where its last lines do."""
    if end.code and memory_bytes and any(map(NO_MEMORY.search, end.lines)):
        reason = f"ran out of memory, of which it may use {memory_bytes / 2**20:,.0f} MiB"
        return replace(end, reason=reason)
    return end
