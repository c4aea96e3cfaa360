"""What the query listener of a worker stands on: its own engine, and for the rest all others."""

from typing import Any

from clipper.core.errors import Unanswered
from clipper.core.metrics import Metrics
from clipper.serving.engine import Engine
from clipper.serving.figures import Figures
from clipper.workers.channel import Channel
from clipper.workers.merging import add_all
from clipper.workers.messages import Judge, Readiness, Sum, Summed, ToWorker

READINESS_S = 1.0
SUM_S = 2.0
JUDGE_S = 12.0


class Backend:
    """Answers as the whole daemon would."""

    def __init__(self, engine: Engine, channel: Channel[ToWorker]) -> None:
        self.predictor = engine.predictor
        self.feedback = engine.feedback
        self.feedback.elsewhere = self._judged_elsewhere
        self._channel = channel

    async def readiness(self) -> list[str]:
        """Why queries would not be answered by models; empty when they would."""
        try:
            return await self._channel.call(Readiness(), READINESS_S, list[str])
        except Unanswered:
            return ["The main process of the daemon does not answer."]

    async def _judged_elsewhere(
        self, app: str, query_id: int, label: Any, context: str | None
    ) -> bool:
        return await self._channel.call(Judge(app, query_id, label, context), JUDGE_S, bool)

    async def figures(self) -> Figures:
        """All that is counted, by whichever process.

        Raises:
            Unanswered: the main process does not say.
        """
        summed = await self._channel.call(Sum(), SUM_S, Summed)
        metrics = Metrics()
        add_all(metrics, summed.told)
        return Figures(metrics, {}, summed.uptime_s)
