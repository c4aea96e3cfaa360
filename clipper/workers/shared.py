"""A replica that the workers ask, as the keeper in the main process sees it.

The main process has a connection of its own, which tells it when the model is loaded and when the
container breaks off; it sends no batches over it.
"""

import asyncio
from typing import Protocol

from clipper.abstraction.layer import ServedModel
from clipper.core.errors import ReplicaFailed
from clipper.deploy.manager import Container
from clipper.serving.attachment import ReplicaLink, connected
from clipper.serving.figures import ReplicaFigures
from clipper.workers.messages import Post


class Askers(Protocol):
    """Those who ask the replica."""

    async def post(self, post: Post, shared: "Shared") -> None:
        """Return when everybody asks it; raises ReplicaFailed."""

    async def withdraw(self, life: int, *, at_once: bool) -> None:
        """Return when nobody does."""

    def figures(self, life: int) -> ReplicaFigures | None:
        """What they know of it."""


class Shared:
    """One life of a replica, asked by all workers; live here means that every one of them can."""

    def __init__(
        self,
        askers: Askers,
        life: int,
        link: ReplicaLink,
        served: ServedModel,
        container: Container,
    ) -> None:
        self._askers = askers
        self._life = life
        self._link = link
        self._served = served
        self._container = container
        self._is_posted = False
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Settled by a stop; failed by whoever could not ask it any more."""
        self._end.add_done_callback(lambda end: end.cancelled() or end.exception())

    async def connect(self) -> None:
        await connected(self._link, self._served)
        self._is_posted = True
        container = self._container
        index, model = self._link.id.index, self._served.model
        post = Post(self._life, index, model, container.address, container.token)
        await self._askers.post(post, self)

    async def serve(self) -> None:
        self._served.live += 1
        try:
            await self._end
        finally:
            self._served.live -= 1
        await self._withdraw(at_once=False)

    async def broken(self) -> None:
        await self._link.broken()

    def stop(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    def fail(self, reason: str) -> None:
        """A worker could not ask it any more."""
        if not self._end.done():
            self._end.set_exception(ReplicaFailed(reason))

    async def close(self) -> None:
        await self._withdraw(at_once=True)
        await self._link.close()

    async def _withdraw(self, *, at_once: bool) -> None:
        if self._is_posted:
            await self._askers.withdraw(self._life, at_once=at_once)
            self._is_posted = False

    def figures(self) -> ReplicaFigures | None:
        return self._askers.figures(self._life)
