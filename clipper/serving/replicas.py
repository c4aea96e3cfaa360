"""Keeping a replica alive: one life after another, with back-off in between.

A keeper starts a container, connects, lets it serve, and starts another when it ends. What it is
doing is its state:

    starting -> ready -> backing_off -> starting ...      and from anywhere: -> stopping

Whoever deploys awaits `first_ready`, which fails with the reason if the first life does not get
ready.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from clipper.abstraction.layer import ServedModel
from clipper.core.errors import ClipperError, DeployError, ReplicaFailed
from clipper.core.tasks import Tasks
from clipper.core.types import Description, ReplicaId
from clipper.deploy.manager import Container, ContainerSpec, Exit
from clipper.serving.attachment import Attach, Attachment, Connector, Here
from clipper.serving.figures import ReplicaFigures

T = TypeVar("T")

log = logging.getLogger(__name__)

BACKOFF_S = 0.25
BACKOFF_MAX_S = 20.0
BACKOFF_READY_MAX_S = 3.0
"""A replica that was ready before it ended is soon started again, however often it ends."""
SETTLED_S = 30.0
"""A replica that lived this long is started again without delay, should it end."""
LOADING_MAX_S = 900.0
"""A replica that loads its model longer than this hangs; whoever deploys may have less patience."""
LAST_BATCH_S = 10.0
"""How long a replica that is to stop may take for the batch in hand."""
STOP_GRACE_S = 5.0
EXIT_GRACE_S = 1.0
"""How long a broken connection may wait for the exit code that explains it."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica, as an operator sees it."""

    replica: ReplicaId
    state: str
    identity: str
    restarts: int
    last_exit: str
    figures: ReplicaFigures | None
    """None while it takes no batches."""
    description: Description
    """Of the last container that was ready."""
    gpus: str
    """Its set of GPUs; empty where it asks for none."""


class Keeper:
    """Keeps one replica of a model version alive until it is told to stop."""

    def __init__(
        self,
        spec: ContainerSpec,
        served: ServedModel,
        start: Callable[[ContainerSpec], Coroutine[Any, Any, Container]],
        connector: Connector,
        attach: Attach = Here,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.replica = spec.replica
        self.manager = spec.deployment.manager
        self.served = served
        self.state = ""
        self.identity = ""
        self.restarts = 0
        self.last_exit = ""
        self.description = Description()
        self.first_ready: asyncio.Future[None] = loop.create_future()
        """Settled when the first life gets ready, or fails to; awaited by who deploys."""
        self.first_launch: asyncio.Future[None] = loop.create_future()
        """Settled when the first container runs; before, its packages may have to be installed."""
        self.first_ready.add_done_callback(lambda done: done.exception())
        self._spec = spec
        self._start = start
        self._connector = connector
        self._attach = attach
        self._stop: asyncio.Future[None] = loop.create_future()
        self._tasks = Tasks()
        self._attachment: Attachment | None = None
        self._move("starting")

    def _move(self, state: str) -> None:
        if not self._stop.done():
            self.state = state
            self.served.stats.states[self.replica.index] = state

    def stop(self) -> None:
        """Finish the batch in hand, then end the container; `run` returns when it is gone."""
        if not self._stop.done():
            self._move("stopping")
            self._stop.set_result(None)

    async def run(self) -> None:
        """One life after another."""
        now = asyncio.get_running_loop().time
        delay_s = BACKOFF_S
        try:
            while not self._stop.done():
                started = now()
                try:
                    await self._live()
                except ClipperError as error:
                    self._failed(error)
                if now() - started > SETTLED_S:
                    delay_s = BACKOFF_S
                most_s = BACKOFF_READY_MAX_S if self.state == "ready" else BACKOFF_MAX_S
                if not self._stop.done():
                    await self._back_off(min(delay_s, most_s))
                delay_s = min(2 * delay_s, BACKOFF_MAX_S)
        finally:
            await self._tasks.cancel()
            # Under this index, a successor may have begun while the last batch was in hand.
            if self.served.stats.states.get(self.replica.index) == "stopping":
                del self.served.stats.states[self.replica.index]
            if not self.first_ready.done():
                self.first_ready.set_exception(DeployError(f"{self.replica} was stopped."))

    async def _live(self) -> None:
        """Start a container and serve from it until it ends or is told to stop."""
        self._move("starting")
        container = await self._started()
        if container is None:
            return
        self.identity = container.identity
        if not self.first_launch.done():
            self.first_launch.set_result(None)
        exited = self._spawn("watch", container.wait())
        link = self._connector(
            self.replica, self._spec.input_type, container.address, container.token
        )
        attachment = self._attach(link, self.served, container)
        try:
            connecting = self._spawn("connect", self._connect(attachment))
            if await self._outlives(connecting, exited):
                self._attachment = attachment
                self._became_ready(link.description)
                serving = self._spawn("dispatch", attachment.serve())
                broken = self._spawn("hear", attachment.broken())
                if not await self._outlives(serving, exited, broken):
                    attachment.stop()
                    last = (serving, exited)
                    await asyncio.wait(
                        last, timeout=LAST_BATCH_S, return_when=asyncio.FIRST_COMPLETED
                    )
        finally:
            try:
                await self._tasks.cancel()
                await attachment.close()
            finally:
                self._attachment = None
                await container.stop(STOP_GRACE_S)
                self.identity = ""

    async def _started(self) -> Container | None:
        """A new container; None where the stop came first, and then nothing is left of it.

        Packages may have to be installed for it, which takes minutes.
        """
        starting = self._spawn("start", self._start(self._spec))
        await asyncio.wait((starting, self._stop), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
        return None if starting.cancelled() else starting.result()

    async def _connect(self, attachment: Attachment) -> None:
        try:
            async with asyncio.timeout(LOADING_MAX_S):
                await attachment.connect()
        except TimeoutError:
            raise ReplicaFailed(
                f"{self.replica} was not ready within {LOADING_MAX_S:g} s."
            ) from None

    def _spawn(self, what: str, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        return self._tasks.spawn(f"{what} {self.replica}", call, is_awaited=True)

    async def _outlives(
        self,
        task: "asyncio.Task[None]",
        exited: "asyncio.Task[Exit]",
        *others: "asyncio.Task[None]",
    ) -> bool:
        """Wait for a task; False where the stop came first.

        Raises:
            ReplicaFailed: the task or one of the others failed, or the container ended.
        """
        watched: list[asyncio.Future[Any]] = [task, exited, self._stop, *others]
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        causes = [_cause(one) for one in (task, *others) if one.done()]
        error = next((cause for cause in causes if cause is not None), None)
        if error is None and not exited.done():
            return task.done()
        # A connection breaks a moment before the exit code, which says more, is there.
        await asyncio.wait((exited,), timeout=EXIT_GRACE_S)
        if exited.done():
            raise ReplicaFailed(_describe(self.replica, exited.result()))
        if isinstance(error, ClipperError):
            raise error
        raise ReplicaFailed(f"{self.replica} broke off: {error!r}") from error

    def _became_ready(self, description: Description) -> None:
        self._move("ready")
        self.description = description
        # Whatever the model was to say of it: the next container has to take the same.
        self._spec = replace(self._spec, input_type=self.served.model.input_type)
        extra = {"action": "replica_ready", "replica": str(self.replica)}
        log.info("%s is ready (%s)", self.replica, self.identity, extra=extra)
        if not self.first_ready.done():
            self.first_ready.set_result(None)

    def _failed(self, error: ClipperError) -> None:
        self.last_exit = error.message
        if self.first_ready.done():
            extra = {"action": "replica_failed", "replica": str(self.replica)}
            log.warning("%s; it is started again", error.message, extra=extra)
        else:
            self.first_ready.set_exception(DeployError(error.message, hint=error.hint))

    async def _back_off(self, delay_s: float) -> None:
        self._move("backing_off")
        self.restarts += 1
        self.served.stats.restarts += 1
        await asyncio.wait((self._stop,), timeout=delay_s)

    def status(self) -> ReplicaStatus:
        """How it is."""
        return ReplicaStatus(
            replica=self.replica,
            state=self.state,
            identity=self.identity,
            restarts=self.restarts,
            last_exit=self.last_exit,
            figures=None if self._attachment is None else self._attachment.figures(),
            description=self.description,
            gpus=self._spec.deployment.gpus_of(self.replica.index),
        )


def _cause(task: "asyncio.Task[None]") -> BaseException | None:
    """Why a task that is done has failed, if it has."""
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _describe(replica: ReplicaId, exit: Exit) -> str:
    lines = "".join(f"\n  {line}" for line in exit.lines)
    return f"{replica} {exit.reason}" + (f"; its last lines:{lines}" if lines else "")
