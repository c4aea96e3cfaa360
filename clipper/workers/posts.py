"""The replicas that this worker asks, each over a connection of its own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from clipper.core.errors import ClipperError, ReplicaFailed
from clipper.core.tasks import Tasks
from clipper.core.types import ModelId, ReplicaId
from clipper.serving.attachment import Connector, Here
from clipper.serving.engine import Engine
from clipper.serving.figures import ReplicaFigures
from clipper.workers.messages import Post

CONNECT_S = 10.0
"""How long a connection may take to a replica whose model is loaded."""


@dataclass(eq=False, slots=True)
class Posted:
    """One of them."""

    replica: ReplicaId
    here: Here
    ready: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    task: asyncio.Task[None] | None = None


class Posts:
    """Replicas by the number of their life; `failed` is told which broke off, and why."""

    def __init__(
        self, engine: Engine, connector: Connector, failed: Callable[[int, str], None]
    ) -> None:
        self._engine = engine
        self._connector = connector
        self._failed = failed
        self._posted: dict[int, Posted] = {}
        self.awaited: set[int] = set()
        """The lives that we are told of at our beginning, unless they end before we ask them."""
        self._tasks = Tasks()

    @property
    def models(self) -> set[ModelId]:
        """The versions that they are of."""
        return {posted.replica.model for posted in self._posted.values()}

    def figures(self) -> dict[int, ReplicaFigures]:
        """What they do, by the number of their life."""
        found = {life: posted.here.figures() for life, posted in self._posted.items()}
        return {life: figures for life, figures in found.items() if figures is not None}

    async def add(self, post: Post) -> None:
        """Return when the replica takes batches from here.

        Raises:
            ReplicaFailed: it cannot be reached.
        """
        posted = self._posted.get(post.life) or self._begin(post)
        await asyncio.shield(posted.ready)

    def _begin(self, post: Post) -> Posted:
        replica = ReplicaId(post.model.id, post.index)
        served = self._engine.layer.add(post.model)
        link = self._connector(replica, post.model.input_type, post.address, post.token)
        posted = self._posted[post.life] = Posted(replica, Here(link, served))
        posted.ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        serving = self._serve(post.life, posted)
        posted.task = self._tasks.spawn(f"ask {replica}", serving, is_awaited=True)
        return posted

    async def _serve(self, life: int, posted: Posted) -> None:
        """From the connection to the end, whoever brings it about."""
        reason = f"{posted.replica} was withdrawn."
        try:
            await self._connect(posted)
            await self._ask(posted)
        except ClipperError as error:
            reason = error.message
            if posted.ready.done():
                self._failed(life, reason)
        finally:
            if not posted.ready.done():
                posted.ready.set_exception(ReplicaFailed(reason))
            del self._posted[life]
            await posted.here.close()
            self._tidy(posted.replica.model)

    async def _connect(self, posted: Posted) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await posted.here.connect()
        except TimeoutError:
            raise ReplicaFailed(
                f"{posted.replica} could not be reached within {CONNECT_S:g} s."
            ) from None

    async def _ask(self, posted: Posted) -> None:
        """Have it take batches until told to stop.

        Raises:
            ReplicaFailed: it broke off.
        """
        tasks = Tasks()
        serving = tasks.spawn("dispatch", posted.here.serve(), is_awaited=True)
        broken = tasks.spawn("hear", posted.here.broken(), is_awaited=True)
        try:
            await asyncio.sleep(0)  # it has begun
            if not posted.ready.done():
                posted.ready.set_result(None)
            first = asyncio.FIRST_COMPLETED
            done, _ = await asyncio.wait((serving, broken), return_when=first)
            for error in [one.exception() for one in done if not one.cancelled()]:
                if isinstance(error, ClipperError):
                    raise error
                if error is not None:
                    raise ReplicaFailed(f"{posted.replica} broke off: {error!r}") from error
        finally:
            await tasks.cancel()

    def _tidy(self, model: ModelId) -> None:
        """A version that was only tried out goes with its last replica."""
        if model not in self._engine.config.models and model not in self.models:
            self._engine.layer.remove(model)

    async def withdraw(self, life: int, *, at_once: bool) -> None:
        """Return when the replica is asked nothing any more: after the batch in hand, or now."""
        self.awaited.discard(life)
        await asyncio.sleep(0)  # a task that is cancelled before it began would leave all behind
        posted = self._posted.get(life)
        if posted is None or posted.task is None:
            return
        if at_once or not posted.ready.done():
            posted.task.cancel()
        else:
            posted.here.stop()
        await asyncio.wait((posted.task,))

    async def close(self) -> None:
        """Let go of all."""
        await self._tasks.cancel()
