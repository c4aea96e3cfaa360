"""A worker's life: it catches up with the others, lets queries in, and goes when it is told to."""

import asyncio
import contextlib
import logging
import os
from typing import NoReturn

from clipper.core.errors import ClipperError, StateError, Unanswered
from clipper.core.garbage import quieten
from clipper.core.tasks import Tasks, supervise
from clipper.serving.attachment import Connector
from clipper.serving.engine import Bounds, Engine, Files
from clipper.serving.ids import QueryIds
from clipper.serving.opening import open_when_there
from clipper.state.store import Store
from clipper.workers.backend import Backend
from clipper.workers.channel import Channel
from clipper.workers.duties import Duties, Listening
from clipper.workers.messages import (
    Failed,
    Noted,
    Post,
    Reserve,
    Serving,
    Taught,
    ToWorker,
    Welcome,
)
from clipper.workers.posts import Posts

log = logging.getLogger(__name__)

IDS = 2**24
"""Query ids at a time: at a hundred thousand queries a second, three minutes' worth."""
RESERVE_S = 5.0
TAUGHT_S = 2.0
STORE_S = 1.0
"""How long a start waits for the store, where what models are known to do is kept."""
STEP_S = 0.5
"""How often the main process is told what was counted."""


class Life:
    """Everything that a worker is made of, but for its listener."""

    def __init__(
        self,
        channel: Channel[ToWorker],
        store: Store,
        connector: Connector,
        bounds: Bounds,
        files: Files | None = None,
    ) -> None:
        self._channel = channel
        self._store = store
        ids = QueryIds(self._reserve, IDS)
        self.engine = Engine(store, ids, bounds, self._taught, files)
        self.backend = Backend(self.engine, channel)
        self._posts = Posts(self.engine, connector, self._failed)
        self._tasks = Tasks()

    async def run(self, welcome: Welcome, listener: Listening) -> bool:
        """Serve until the main process has no more use for us; False where it is just gone."""
        duties = Duties(self.engine, self._posts, listener)
        self._posts.awaited = {post.life for post in welcome.posts}
        self._tasks.spawn("tell", supervise("tell", lambda: self._tell(duties)))
        opening = open_when_there(self._store, lambda error: None)
        opened = self._tasks.spawn("open the store", opening)
        await asyncio.wait((opened,), timeout=STORE_S)
        hearing = self._tasks.spawn("hear", self._channel.run(duties.answer))
        begin = self._begin(welcome, duties, listener)
        beginning = self._tasks.spawn("begin", begin, is_awaited=True)
        await asyncio.wait((hearing, beginning), return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            beginning.result()
        await hearing
        return duties.has_left

    async def close(self) -> None:
        """Let go of all that is left."""
        await self._tasks.cancel()
        await self._posts.close()
        await self._store.close()

    async def _begin(self, welcome: Welcome, duties: Duties, listener: Listening) -> None:
        """Catch up with the others, and only then let queries in."""
        if welcome.adopt is not None:
            await duties.adopt(welcome.adopt)
        posts = [post for post in welcome.posts if post.life in self._posts.awaited]
        await asyncio.gather(*map(self._ask, posts))
        await listener.start()
        quieten()
        self._tasks.spawn("keep", supervise("keep", self._keep))
        self._tasks.spawn("follow", supervise("follow", self.engine.follow))
        self._tasks.spawn("journal", supervise("journal", self.engine.keep_journal))
        self._channel.tell(Serving())
        log.info("Answering queries, as pid %d", os.getpid(), extra={"action": "worker_serves"})

    async def _ask(self, post: Post) -> None:
        try:
            await self._posts.add(post)
        except ClipperError as error:
            self._failed(post.life, error.message)

    async def _tell(self, duties: Duties) -> NoReturn:
        now = asyncio.get_running_loop().time
        while True:
            told = now()
            await asyncio.sleep(STEP_S)
            self.engine.metrics.update_rates(now() - told)
            self._channel.tell(Noted(duties.told()))

    async def _keep(self) -> NoReturn:
        """Have ids ahead, and store what was learned of the models."""
        while True:
            await asyncio.sleep(STEP_S)
            with contextlib.suppress(StateError, Unanswered):
                await self.engine.ids.renew()
            await self.engine.save_profiles()
            with contextlib.suppress(StateError):
                await self.engine.feedback.watch()

    async def _reserve(self, _counter: str, count: int) -> int:
        return await self._channel.call(Reserve(count), RESERVE_S, int)

    async def _taught(self, app: str, context: str) -> None:
        with contextlib.suppress(Unanswered):  # it is durable; who has not heard reads it later
            await self._channel.call(Taught(app, context), TAUGHT_S, type(None))

    def _failed(self, life: int, reason: str) -> None:
        self._channel.tell(Failed(life, reason))
