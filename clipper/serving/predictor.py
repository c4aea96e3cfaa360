"""Predict: select, ask, combine, answer by the deadline with whatever is there by then.

This is the hot path. A query costs one `Query`, at most one `Task` for each model asked, and calls
of plain functions: no asyncio task, no lock, no log line. A selection state that is not in memory
is the exception: it is loaded first, by a task.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random

from clipper.abstraction.layer import Near, ServedModel
from clipper.abstraction.queue import NOTHING, Task
from clipper.core.clock import loop_clock
from clipper.core.errors import (
    ClipperError,
    DeadlineExceeded,
    ModelFailed,
    Overloaded,
    ReplicaFailed,
    ReplicaUnavailable,
    StateError,
)
from clipper.core.outputs import held_bytes
from clipper.core.tasks import Tasks
from clipper.core.types import DEFAULT_CONTEXT, ModelId, Output
from clipper.selection.policy import State
from clipper.serving.ids import QueryIds
from clipper.serving.journal import Journal, Record
from clipper.serving.query import FAILED, LATE, LOW_CONFIDENCE, NO_MODELS, Query
from clipper.serving.snapshot import Route, Snapshot
from clipper.serving.states import SelectionStates

LOADING_SHARE = 0.5
"""Of the time that a query has, so much may go by until its selection state is there."""
RECORD_BYTES = 800
"""What the journal's note of a query costs, besides its outputs."""


class Predictor:
    """Answers queries from the current snapshot."""

    def __init__(
        self, ids: QueryIds, states: SelectionStates, journal: Journal, random: Random
    ) -> None:
        self.snapshot: Snapshot = {}
        self.is_loaded = False
        """False until the configuration has been read once."""
        self.active = 0
        """Queries that are not settled yet."""
        self._ids = ids
        self._states = states
        self._journal = journal
        self._draw: Callable[[], float] = random.random
        self.now = loop_clock()
        self._tasks = Tasks()
        self._idle: asyncio.Event | None = None

    def submit(self, query: Query) -> None:
        """Start a query; its `reply` is called once, at its deadline at the latest.

        `reply` may be called before this returns.

        Raises:
            InvalidInput: it asks for a version that does not exist.
        """
        route = query.route
        sole = route.sole if query.version is None else route.requested(query.version)
        self.active += 1
        query.id = self._ids.take()
        if sole is not None:
            query.missing = 1
            self._ask(query, sole)
        elif route.models:
            self._select(query)
        else:
            self._default(query, "no_model", NO_MODELS)
        if not query.is_settled:
            route.expiry.watch(query)

    def refuse(self, route: Route, arrived: float) -> int:
        """Count a query that is refused before it is one; its id."""
        stats = route.stats
        stats.count("rejected" if route.app.on_overload == "reject" else "overloaded")
        stats.latency.observe(self.now() - arrived)
        query_id = self._ids.take()
        self._journal.write(query_id, route.record)
        return query_id

    def _select(self, query: Query) -> None:
        """Ask the policy; its state is loaded first where it is not in memory."""
        query.context = query.context or DEFAULT_CONTEXT
        route = query.route
        if route.policy.state_type is None:
            self._choose(query, route.policy.init())
            return
        state = self._states.peek(route.app.name, query.context)
        if state is None:
            self._tasks.spawn(f"load the context of query {query.id}", self._load(query))
        else:
            self._choose(query, state)

    async def _load(self, query: Query) -> None:
        route = query.route
        patience_s = (query.deadline - self.now()) * LOADING_SHARE
        try:
            async with asyncio.timeout(patience_s):
                state = await self._states.load(route.app.name, query.context, route.policy)
        except (StateError, TimeoutError):
            # What is served is served on, with what a fresh context knows.
            state = route.policy.init()
        if not query.is_settled:
            self._choose(query, state)

    def _choose(self, query: Query, state: State) -> None:
        route = query.route
        query.state = state
        live = [model for model, served in route.models.items() if served.live]
        query.selection = route.policy.select(state, live or tuple(route.models), self._draw())
        query.missing = len(query.selection.models)
        for model in query.selection.models:
            self._ask(query, route.models[model])

    def _ask(self, query: Query, served: ServedModel) -> None:
        waiter = partial(self._arrive, query, served.id)
        try:
            found = served.predict(query.input, query.deadline, waiter, query.group)
        except (ReplicaUnavailable, Overloaded) as error:
            self._arrive(query, served.id, error)
            return
        if type(found) is Task:
            query.waiting += ((served, found, waiter),)
        elif type(found) is Near:
            query.cache = "approximate"
            self._arrive(query, served.id, found.output)
        elif type(found) is Output:
            query.cache = "exact"
            self._arrive(query, served.id, found)

    def _arrive(self, query: Query, model: ModelId, outcome: Output | ClipperError) -> None:
        """One model's output, or why there is none; the last to come completes the query."""
        if query.is_settled:
            return
        query.missing -= 1
        if type(outcome) is Output:  # isinstance takes several times as long
            if query.selection is None:
                # Nobody chose: there was one to ask, and there is nothing to combine.
                self._answered(query, outcome, 1.0, (model,))
                return
            query.outputs[model] = outcome
        elif isinstance(outcome, ClipperError):
            query.failure = outcome
        if not query.missing:
            self._complete(query)

    def expire(self, query: Query) -> None:
        """The deadline has come: answer from what is there."""
        self._complete(query)

    def _complete(self, query: Query) -> None:
        if query.selection is not None and query.outputs:
            asked = query.selection.models
            output, confidence = query.route.policy.combine(query.state, asked, query.outputs)
            if confidence >= query.route.app.confidence_threshold:
                self._answered(query, output, confidence, tuple(query.outputs))
            else:
                self._decline(query, output, confidence)
        elif isinstance(query.failure, Overloaded) and query.route.app.on_overload == "reject":
            self._reject(query, query.failure)
        else:
            self._default(query, *_cause(query.failure))

    def _reject(self, query: Query, error: Overloaded) -> None:
        """There is no prediction, not even the default one: whoever asked is to ask again."""
        query.error = error
        query.route.stats.rejected += 1
        self._finish(query)
        query.reply(query)
        query.waiting = ()

    def _answered(
        self, query: Query, output: Output, confidence: float, models: tuple[ModelId, ...]
    ) -> None:
        query.output = output
        query.confidence = confidence
        query.models = models
        query.route.stats.answered += 1
        self._answer(query)

    def _decline(self, query: Query, output: Output, confidence: float) -> None:
        """The models do not agree enough; their answer is shown beside the default one."""
        query.declined = output
        query.confidence = confidence
        query.models = tuple(query.outputs)
        self._default(query, "low_confidence", LOW_CONFIDENCE)

    def _default(self, query: Query, outcome: str, explanation: str) -> None:
        query.route.stats.count(outcome)
        query.output = query.route.default
        query.explanation = explanation
        self._answer(query)

    def _answer(self, query: Query) -> None:
        route = query.route
        query.latency_s = self.now() - query.arrived
        route.stats.latency.observe(query.latency_s)
        self._finish(query)
        record = route.record
        if query.selection is not None and query.outputs and route.policy.state_type is not None:
            record = Record(
                route.app.name,
                query.context,
                query.selection,
                query.outputs,
                RECORD_BYTES + sum(map(held_bytes, query.outputs.values())),
            )
        self._journal.write(query.id, record)
        query.reply(query)
        query.waiting = ()

    def cancel(self, query: Query, outcome: str = "cancelled") -> None:
        """Nobody is answered: whoever asked has gone, or its request was rejected.

        A query that was not submitted is none to cancel.
        """
        if query.id >= 0 and not query.is_settled:
            query.route.stats.count(outcome)
            self._finish(query)
            query.waiting = ()

    def _finish(self, query: Query) -> None:
        query.is_settled = True
        query.input = NOTHING
        self.active -= 1
        if query.missing:
            for served, task, waiter in query.waiting:
                served.withdraw(task, waiter)
        if self._idle is not None and not self.active:
            self._idle.set()

    async def drain(self) -> None:
        """Return once every query is settled; nothing new is submitted meanwhile."""
        idle = self._idle = self._idle or asyncio.Event()
        while self.active:
            idle.clear()
            await idle.wait()

    async def close(self) -> None:
        """End what still loads."""
        await self._tasks.cancel()


def _cause(failure: ClipperError | None) -> tuple[str, str]:
    """The outcome under which a query without an output is counted, and its explanation."""
    match failure:
        case ModelFailed():
            return "model_failed", f"{FAILED}: {failure.message}"
        case Overloaded():
            return "overloaded", f"{LATE}: {failure.message}"
        case None | DeadlineExceeded():
            return "late", LATE
        case ReplicaFailed():
            return "late", f"{LATE}: {failure.message}"
        case _:
            return "no_model", f"{NO_MODELS}: {failure.message}"
