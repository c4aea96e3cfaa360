"""What the main process answers to its workers."""

import contextlib
from typing import Any

import msgspec

from clipper.core.errors import UnknownQuery
from clipper.core.settings import Settings
from clipper.serving.services import Services
from clipper.workers.crew import Crew, Worker
from clipper.workers.merging import Told
from clipper.workers.messages import (
    Failed,
    Join,
    Judge,
    Noted,
    Readiness,
    Reserve,
    Serving,
    Sum,
    Summed,
    Taught,
    ToMain,
    Welcome,
)

Sockets = dict[int, list[int]]
"""Descriptors, by place."""
JUDGE_S = 10.0
"""How long feedback for another worker's query may take; the store decides."""


class Desk:
    """Answers for the services and the crew."""

    def __init__(self, crew: Crew, services: Services, settings: Settings) -> None:
        self._crew = crew
        self._services = services
        # Defaults are not validated: an empty token stands for none.
        given = settings.model_dump_json(exclude_defaults=True)
        self._settings = msgspec.Raw(given.encode())

    async def answer(self, worker: Worker, sockets: Sockets, message: ToMain) -> Any:
        """Answer one message of a worker, which has inherited these sockets."""
        crew, services = self._crew, self._services
        match message:
            case Noted(told):
                crew.ledger.note(worker.id, told)
            case Judge():
                return await self._judge(worker, message)
            case Taught(app, context):
                services.engine.states.drop(app, context)
                await crew.drop(app, context, worker)
            case Reserve(count):
                first = services.engine.ids.carve(count)
                worker.blocks.append(range(first, first + count))
                return first
            case Failed(life, reason):
                crew.failed(life, reason)
            case Readiness():
                return services.ready()
            case Sum():
                return await self._sum()
            case Join():
                return Welcome(self._settings, sockets, *crew.join(worker))
            case Serving():
                crew.serves(worker)
        return None

    async def _judge(self, worker: Worker, message: Judge) -> bool:
        owner = self._crew.owner(message.query_id)
        # An id that nobody has given is of an earlier life; whoever reads its journal remembers.
        askable = self._crew.others(worker) if owner is None else [owner]
        for other in askable:
            if other is not worker:
                with contextlib.suppress(UnknownQuery):
                    return await other.channel.call(message, JUDGE_S, bool)
        return await self._services.judged_elsewhere(
            message.app, message.query_id, message.label, message.context
        )

    async def _sum(self) -> Summed:
        figures = await self._services.figures()
        told = Told.of(figures.metrics)
        return Summed(told, figures.uptime_s)
