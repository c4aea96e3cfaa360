"""One input on its way to an answer."""

from collections.abc import Callable

from clipper.abstraction.layer import ServedModel
from clipper.abstraction.queue import Task, Waiter
from clipper.core.errors import ClipperError, Overloaded
from clipper.core.types import Input, ModelId, Output
from clipper.selection.policy import Selection, State
from clipper.serving.snapshot import Route

NO_MODELS = "No connected models found for query"
LATE = "Failed to retrieve a prediction response within the specified latency SLO"
FAILED = "The model failed"


class Query:
    """A query and, once `is_settled`, its prediction. Settled exactly once, by the deadline.

    `explanation` is empty unless the default output answered; then it says why. `error` is set
    instead of a prediction where the application rejects what it cannot take.
    """

    __slots__ = (
        "arrived",
        "cache",
        "confidence",
        "context",
        "deadline",
        "error",
        "explanation",
        "failure",
        "id",
        "input",
        "is_settled",
        "latency_s",
        "missing",
        "models",
        "output",
        "outputs",
        "reply",
        "route",
        "selection",
        "state",
        "version",
        "waiting",
    )

    def __init__(
        self,
        route: Route,
        input: Input,
        arrived: float,
        deadline: float,
        reply: Callable[["Query"], None],
    ) -> None:
        self.route = route
        self.input = input
        self.arrived = arrived
        self.deadline = deadline
        self.reply = reply
        self.id = -1
        self.context = ""
        self.version: str | None = None
        self.is_settled = False
        self.selection: Selection | None = None
        self.state: State = None
        self.missing = 0
        """Models asked whose output has not come."""
        self.waiting: list[tuple[ServedModel, Task, Waiter]] = []
        self.outputs: dict[ModelId, Output] = {}
        self.failure: ClipperError | None = None
        """Why the last model without an output has none."""
        self.error: Overloaded | None = None
        self.output = route.default
        self.models: tuple[ModelId, ...] = ()
        self.explanation = ""
        self.confidence = 0.0
        self.cache = "none"
        self.latency_s = 0.0

    def timing(self) -> dict[str, float]:
        """Where the time went, in milliseconds; the queue and the batch where there was one."""
        timing = {"total_ms": round(self.latency_s * 1e3, 3)}
        for _, task, _ in self.waiting:
            if task.sent_at:
                timing["queue_ms"] = round((task.sent_at - task.queued_at) * 1e3, 3)
                timing["batch_size"] = task.batch_size
        return timing
