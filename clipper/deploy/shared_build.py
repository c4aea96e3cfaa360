"""Builds that all who ask for the same thing at once share.

Whoever asks for what is being built waits for that build, and its output goes to the log of each
who waits from then on. One who gives up hurts no other; a build that nobody waits for any more is
ended, before the last one is told. Few run at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks
from clipper.deploy.logs import Log

BUILDS_AT_ONCE = 2

T = TypeVar("T")


@dataclass(slots=True)
class Copies:
    """One output in several logs."""

    files: list[Log] = field(default_factory=list)

    def append(self, chunk: bytes) -> None:
        for file in tuple(self.files):
            file.append(chunk)


@dataclass(frozen=True, slots=True)
class _UnderWay(Generic[T]):
    """A build, and the logs of those who wait for it."""

    task: "asyncio.Task[T]"
    waiting: Copies


class SharedBuilds(Generic[T]):
    """The builds under way of one kind of thing; iterating gives the keys of what is built."""

    def __init__(self, kind: str) -> None:
        """`kind` is what messages call one, as in `the image`."""
        self._kind = kind
        self._under_way: dict[str, _UnderWay[T]] = {}
        self._slots = asyncio.Semaphore(BUILDS_AT_ONCE)
        self._tasks = Tasks()

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._under_way))

    async def get(self, key: str, build: Callable[[Log], Awaitable[T]], file: Log) -> T:
        """What the build under way makes, or else a new one; whatever it raises is raised.

        Raises:
            DeployError: the builds were closed meanwhile.
        """
        under_way = self._under_way.get(key) or self._begin(key, build)
        task, files = under_way.task, under_way.waiting.files
        files.append(file)
        try:
            await asyncio.wait([task])
        finally:
            files.remove(file)
            if not files:
                del self._under_way[key]
                if not task.done():
                    task.cancel()
                    await asyncio.wait([task])
        if task.cancelled():
            raise DeployError(f"{self._kind} {key} is not built: its manager is closed")
        return task.result()

    def _begin(self, key: str, build: Callable[[Log], Awaitable[T]]) -> _UnderWay[T]:
        waiting = Copies()
        task = self._tasks.spawn(f"build {key}", self._run(build, waiting), is_awaited=True)
        under_way = self._under_way[key] = _UnderWay(task, waiting)
        return under_way

    async def _run(self, build: Callable[[Log], Awaitable[T]], waiting: Log) -> T:
        async with self._slots:
            return await build(waiting)

    async def close(self) -> None:
        """End the builds under way, and tell those who wait."""
        await self._tasks.cancel()
