"""One input on its way to an answer."""

from collections.abc import Callable
from typing import Any

import msgspec

from clipper.abstraction.layer import ServedModel
from clipper.abstraction.queue import Task, Waiter
from clipper.core.errors import ClipperError, Overloaded
from clipper.core.types import Input, ModelId, Output
from clipper.selection.policy import Selection
from clipper.serving.snapshot import Route

NO_OUTPUT = Output(None, b"null")

NO_MODELS = "No connected models found for query"
LATE = "Failed to retrieve a prediction response within the specified latency SLO"
FAILED = "The model failed"
LOW_CONFIDENCE = "low confidence"


class Query(msgspec.Struct, eq=False):
    """A query and, once `is_settled`, its prediction. Settled exactly once, by the deadline.

    `explanation` is empty unless the default output answered; then it says why. `error` is set
    instead of a prediction where the application rejects what it cannot take.
    """

    route: Route
    input: Input
    arrived: float
    deadline: float
    reply: Callable[["Query"], None]
    version: str | None = None
    context: str = ""
    group: object = None
    """Queries of one request have the same; it is None for one that came alone."""
    id: int = -1
    is_settled: bool = False
    selection: Selection | None = None
    state: Any = None
    missing: int = 0
    """Models asked whose output has not come."""
    waiting: list[tuple[ServedModel, Task, Waiter]] = []
    outputs: dict[ModelId, Output] = {}
    shadowed: tuple[tuple[ModelId, Output], ...] = ()
    """What shadows said before the query was settled."""
    lacking: tuple[ModelId, ...] = ()
    """Who was asked and has not answered."""
    is_lesson: bool = False
    """Feedback asks, and waits for shadows too."""
    failure: ClipperError | None = None
    """Why the last model without an output has none."""
    error: Overloaded | None = None
    output: Output = NO_OUTPUT
    models: tuple[ModelId, ...] = ()
    explanation: str = ""
    confidence: float = 0.0
    declined: Output | None = None
    """What the models said, where they did not agree enough for it to be the answer."""
    cache: str = "none"
    latency_s: float = 0.0
    timed: dict[str, Any] | None = None

    def timing(self) -> dict[str, Any]:
        """Where the time went, in milliseconds; the queue and the batch where there was one.

        These are forgotten after the reply; who wants to know later must have asked then.
        """
        if self.timed is None:
            self.timed = {"total_ms": round(self.latency_s * 1e3, 3)}
            for _, task, _ in self.waiting:
                batch = task.batch
                if batch is not None:
                    self.timed["queue_ms"] = round((batch.sent_at - task.queued_at) * 1e3, 3)
                    self.timed["batch_size"] = batch.size
                    self.timed["batch_limit"] = batch.limit
                    self.timed["batch_ended_by"] = batch.ended_by
        return self.timed
