"""The only birthplace of asyncio tasks: each has a name, an owner, and a log line if it dies."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

RESTART_DELAY_S = 0.05
RESTART_DELAY_MAX_S = 5.0


class Tasks:
    """A set of running tasks with one owner; leaving it cancels and awaits what still runs."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(
        self, name: str, call: Coroutine[Any, Any, T], *, is_awaited: bool = False
    ) -> "asyncio.Task[T]":
        """Start a task. An exception that ends it is logged, unless its owner awaits it."""
        task = asyncio.get_running_loop().create_task(call, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(_retrieve if is_awaited else _report)
        return task

    async def cancel(self) -> None:
        """Cancel every task and wait until all have ended."""
        while self._running:
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def _retrieve(task: "asyncio.Task[Any]") -> None:
    """Mark the exception as seen: its owner handles it."""
    if not task.cancelled():
        task.exception()


def _report(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s failed", task.get_name(), exc_info=task.exception())


async def supervise(name: str, run: Callable[[], Awaitable[object]]) -> None:
    """Run a loop that is not meant to end; when it breaks, log it and start it again."""
    now = asyncio.get_running_loop().time
    delay_s = RESTART_DELAY_S
    while True:
        started = now()
        try:
            await run()
            return
        except Exception:
            if now() - started > RESTART_DELAY_MAX_S:
                delay_s = RESTART_DELAY_S
            log.exception("%s broke; it is started again in %.2f s", name, delay_s)
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, RESTART_DELAY_MAX_S)
