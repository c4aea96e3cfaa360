"""What a worker does for the main process."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any, Protocol

from clipper.core.errors import StateError, Unanswered
from clipper.serving.engine import Engine, Gone
from clipper.state.registry import from_records
from clipper.state.store import Configuration
from clipper.workers.merging import Told
from clipper.workers.messages import (
    Adopt,
    Cover,
    Drain,
    Drop,
    Judge,
    Leave,
    Post,
    Shut,
    Tell,
    ToWorker,
    Withdraw,
)
from clipper.workers.posts import Posts

IDS_RETRY_S = 0.2


class Listening(Protocol):
    """Lets queries in."""

    async def start(self) -> None:
        """From now on."""

    async def cover(self, places: Collection[int]) -> None:
        """In these places as well."""

    def shut(self) -> None:
        """Not any more; who is in may stay."""

    def refuse(self) -> None:
        """Not any more; who is in is asked to leave."""

    async def drain(self) -> None:
        """Return when all are answered; cancel this to end them at once."""


class Duties:
    """Answers the main process, in the order in which it asks."""

    def __init__(self, engine: Engine, posts: Posts, listener: Listening) -> None:
        self._engine = engine
        self._posts = posts
        self._listener = listener
        self._turn = asyncio.Lock()
        self._covering = asyncio.Lock()
        self._adopted = 0
        self.has_left = False
        """Whether the main process has no more use for this one."""

    async def answer(self, message: ToWorker) -> Any:
        """Answer one message."""
        match message:
            case Drop(app, context):
                self._engine.states.drop(app, context)
            case Tell():
                return self.told()
            case Judge(app, query_id, label, context):
                return await self._engine.feedback.by_query_here(app, query_id, label, context)
            case Adopt():
                await self.adopt(message)
            case Post():
                await self._posts.add(message)
            case Withdraw(life, at_once):
                await self._posts.withdraw(life, at_once=at_once)
            case Cover() | Shut() | Drain():
                await self._attend_to_the_door(message)
            case Leave():
                await self._posts.close()
                await self._engine.close()
                self.has_left = True
        return None

    async def _attend_to_the_door(self, message: Cover | Shut | Drain) -> None:
        match message:
            case Cover(places):
                async with self._covering:
                    await self._listener.cover(places)
            case Shut():
                self._listener.shut()
            case Drain(grace_s):
                await self._drain(grace_s)

    async def adopt(self, message: Adopt) -> None:
        """Serve a configuration, from the next query on."""
        async with self._turn:
            await self._have_ids()
            texts = {key: bytes(text) for key, text in message.records.items()}
            config = from_records(Configuration(message.revision, texts))
            self._engine.forget(Gone(message.gone_applications, message.gone_models))
            if message.number > self._adopted:
                self._engine.adopt(config, self._posts.models)
                self._adopted = message.number

    async def _have_ids(self) -> None:
        """Without ids nothing can be answered; the main process has some once it has its store."""
        while not self._engine.ids.has_block:
            try:
                await self._engine.ids.renew()
            except (StateError, Unanswered):
                await asyncio.sleep(IDS_RETRY_S)

    def told(self) -> Told:
        """All that this worker has counted."""
        told = Told.of(self._engine.metrics)
        told.approximations = list(self._engine.approximations().items())
        told.replicas = self._posts.figures()
        told.adopted = self._adopted
        return told

    async def _drain(self, grace_s: float) -> None:
        """Answer what was admitted, and let go of the rest at the grace's end."""
        self._listener.refuse()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._engine.drain()
                await self._listener.drain()
