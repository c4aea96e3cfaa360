"""The workers that have joined, as the main process deals with them: told together, asked together.

One that does not answer is waited for only so long: whether it hangs is for the supervisor to see.
One that joins later is welcomed with all that the others were told.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from clipper.abstraction.layer import ServedModel
from clipper.core.config import Config
from clipper.core.errors import Unanswered
from clipper.deploy.manager import Container
from clipper.serving.attachment import ReplicaLink
from clipper.serving.engine import Gone
from clipper.serving.figures import Figures, ReplicaFigures
from clipper.state.registry import to_records
from clipper.workers.channel import Channel
from clipper.workers.ledger import Ledger
from clipper.workers.merging import Told
from clipper.workers.messages import (
    Adopt,
    Cover,
    Drain,
    Drop,
    Leave,
    Post,
    Shut,
    Tell,
    ToMain,
    Withdraw,
)
from clipper.workers.shared import Shared

log = logging.getLogger(__name__)

TELL_S = 1.0
"""How long an administrator, or who sends feedback, waits until every worker knows."""
SUM_S = 0.5
"""How long who looks at metrics waits for fresh ones."""
POST_S = 15.0
WITHDRAW_S = 10.0
AT_ONCE_S = 2.0
LEAVE_S = 5.0
SHUT_S = 1.0
DRAIN_SLACK_S = 2.0
BLOCKS = 16
"""Of ids, the last that are remembered for each worker."""


@dataclass(eq=False, slots=True)
class Worker:
    """One worker process."""

    id: int
    """Never given twice."""
    number: int
    """Its place among the workers, from 1; its successor has the same."""
    channel: Channel[ToMain]
    blocks: deque[range] = field(default_factory=lambda: deque(maxlen=BLOCKS))
    """The query ids that it may give."""
    is_heard: bool = False
    """Whether it has said anything since somebody last looked."""


class Crew:
    """Those who have joined, and what they were told."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.ledger = Ledger()
        self._joined: dict[int, Worker] = {}
        self._serving: dict[int, Worker] = {}
        """By place."""
        self._all_serve = asyncio.Event()
        self.restarts = 0
        """How often a worker was started again."""
        self._adopted: Adopt | None = None
        self._know = False
        """Whether all have been told what to serve, or were silent."""
        self._number = 0
        self._lives = itertools.count(1)
        self._posts: dict[int, tuple[Post, Shared]] = {}

    # Who there is

    def join(self, worker: Worker) -> tuple[Adopt | None, list[Post]]:
        """From now on it is told what all are told; returns what it has missed."""
        self._joined[worker.id] = worker
        return self._adopted, [post for post, _ in self._posts.values()]

    def serves(self, worker: Worker) -> None:
        """It answers queries."""
        self._serving[worker.number] = worker
        self._cover()
        if len(self._serving) == self.size:
            self._all_serve.set()

    def leave(self, worker: Worker) -> None:
        """It has ended; what it counted stays counted."""
        self._joined.pop(worker.id, None)
        if self._serving.pop(worker.number, None) is not None:
            self._all_serve.clear()
            self._cover()
        self.ledger.retire(worker.id)

    def _cover(self) -> None:
        """Have one of those who serve take the connections of the places that have nobody."""
        missing = [place for place in range(1, self.size + 1) if place not in self._serving]
        for worker in self._serving.values():
            worker.channel.tell(Cover(missing))
            missing = []

    @property
    def serving(self) -> int:
        """How many answer queries."""
        return len(self._serving)

    async def all_serve(self) -> None:
        """Return when every worker answers queries."""
        await self._all_serve.wait()

    def owner(self, query_id: int) -> Worker | None:
        """Who gave this id, if it still lives."""
        owners = (
            worker
            for worker in self._joined.values()
            if any(query_id in block for block in worker.blocks)
        )
        return next(owners, None)

    def others(self, worker: Worker) -> list[Worker]:
        """Everybody else."""
        return [other for other in self._joined.values() if other is not worker]

    def trouble(self) -> Sequence[str]:
        """Whether there is anybody who answers queries, and knows which."""
        if not self._serving:
            return ("The workers are being started.",)
        return () if self._know else ("The workers are being told what to serve.",)

    # What they are told

    async def adopt(self, config: Config, gone: Gone) -> None:
        """Return when everybody serves what the configuration says."""
        self._number += 1
        revision, texts = to_records(config)
        records = {key: msgspec.Raw(text) for key, text in texts.items()}
        self._adopted = Adopt(self._number, revision, records)
        if gone.applications or gone.models:
            self.ledger.forget(gone, self._number)
        message = msgspec.structs.replace(
            self._adopted, gone_applications=list(gone.applications), gone_models=list(gone.models)
        )
        await self._ask(self._joined.values(), message, TELL_S)
        self._know = True

    async def drop(self, app: str, context: str, teacher: Worker) -> None:
        """Return when everybody but its teacher reads this context anew."""
        await self._ask(self.others(teacher), Drop(app, context), TELL_S)

    async def drain(self, grace_s: float) -> None:
        """Return when all have answered what they admitted."""
        # First all doors, or who is asked to leave by one would knock at another that closes next.
        await self._ask(self._joined.values(), Shut(), SHUT_S)
        await self._ask(self._joined.values(), Drain(grace_s), grace_s + DRAIN_SLACK_S)

    async def close(self) -> None:
        """Everybody stores what it has learned, and goes."""
        workers = list(self._joined.values())
        await self._ask(workers, Leave(), LEAVE_S)
        for worker in workers:
            worker.channel.close()

    # Replicas

    def attach(self, link: ReplicaLink, served: ServedModel, container: Container) -> Shared:
        """Have every worker ask a replica."""
        return Shared(self, next(self._lives), link, served, container)

    async def post(self, post: Post, shared: Shared) -> None:
        """Return when everybody asks this replica.

        Raises:
            ReplicaFailed: somebody cannot.
        """
        self._posts[post.life] = (post, shared)
        await self._ask(self._joined.values(), post, POST_S)

    async def withdraw(self, life: int, *, at_once: bool) -> None:
        """Return when nobody asks this replica."""
        self._posts.pop(life, None)
        patience_s = AT_ONCE_S if at_once else WITHDRAW_S
        await self._ask(self._joined.values(), Withdraw(life, at_once), patience_s)
        self.ledger.end(life)

    def failed(self, life: int, reason: str) -> None:
        """A worker says that a replica broke off."""
        if life in self._posts:
            self._posts[life][1].fail(reason)

    def figures(self, life: int) -> ReplicaFigures | None:
        """What the workers know of a life of a replica."""
        return self.ledger.replica(life)

    # Numbers

    async def total(self, own: Figures) -> Figures:
        """What all have counted."""
        workers = list(self._joined.values())
        answers = await self._ask(workers, Tell(), SUM_S, Told)
        for worker, told in zip(workers, answers, strict=True):
            if told is not None and worker.id in self._joined:
                self.ledger.note(worker.id, told)
        own.metrics.worker_restarts = self.restarts
        return self.ledger.total(own)

    async def _ask(
        self,
        workers: Iterable[Worker],
        message: Any,
        timeout_s: float,
        kind: Any = None,
    ) -> list[Any]:
        """Everybody's answer; None of whoever is gone or silent.

        Raises:
            ClipperError: the first other error.
        """
        asked = list(workers)
        calls = [worker.channel.call(message, timeout_s, kind) for worker in asked]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        answers: list[Any] = []
        for worker, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Unanswered):
                answers.append(None)
                if not worker.channel.is_over:
                    extra = {"action": "worker_silent", "worker": worker.number}
                    log.warning("Worker %d: %s", worker.number, outcome.message, extra=extra)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                answers.append(outcome)
        return answers
