"""Predict: select, ask, combine, answer by the deadline with whatever is there by then.

This is the hot path. A query costs one `Query`, at most one `Task` for each model asked, and calls
of plain functions: no asyncio task, no lock, no log line. A selection state that is not in memory
is the exception: it is loaded first, by a task.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
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
from clipper.selection.policy import NOTHING_USUAL, Selection, State
from clipper.serving.blame import blamed
from clipper.serving.ids import QueryIds
from clipper.serving.journal import RECORD_BYTES, Journal, Record
from clipper.serving.query import FAILED, LATE, LOW_CONFIDENCE, NO_MODELS, Query
from clipper.serving.snapshot import Route, Snapshot
from clipper.serving.states import SelectionStates

log = logging.getLogger(__name__)

BACKGROUND_S = 60.0
"""How long may pass until a model has time for what nobody waits for."""
SLACK = 1e-9
"""Of a confidence: two ninths, added up, may be a little less."""
NOBODY: Sequence[ServedModel] = ()
LOADING_SHARE = 0.5
"""Of the time that a query has, so much may go by until its selection state is there."""


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
        self._blamed: set[str] = set()
        """Applications whose policies have failed."""
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
            self._default(query, "no_model", route.trouble or NO_MODELS)
        if not query.is_settled:
            route.expiry.watch(query)

    def refuse(self, route: Route, arrived: float) -> int:
        """Count a query that is refused before it is one; its id."""
        stats = route.stats
        if route.app.on_overload == "reject":
            stats.count("rejected")
        else:
            stats.count("overloaded")
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
        state = self._states.peek(route.key, route.scope(query.context))
        if state is None:
            self._tasks.spawn(f"load the context of query {query.id}", self._load(query))
        else:
            self._choose(query, state)

    async def _load(self, query: Query) -> None:
        route = query.route
        patience_s = (query.deadline - self.now()) * LOADING_SHARE
        try:
            async with asyncio.timeout(patience_s):
                scope = route.scope(query.context)
                state = await self._states.load(route.key, scope, route.policy)
        except (StateError, TimeoutError):
            # What is served is served on, with what a fresh context knows.
            state = route.policy.init()
        if not query.is_settled:
            self._choose(query, state)

    def _choose(self, query: Query, state: State) -> None:
        route = query.route
        query.state = state
        policy = route.policy
        if policy.is_sticky and query.context != DEFAULT_CONTEXT:
            draw = sticky_draw(route.app.name, query.context)
        else:
            draw = self._draw()
        models = route.models
        try:
            selection = policy.select(state, _askable(route), draw)
            asked = [models[model] for model in selection.models]
            if not asked:
                raise ValueError("nobody was selected")
            shadows = (
                [models[model] for model in selection.shadows] if selection.shadows else NOBODY
            )
        except Exception as error:  # noqa: BLE001 -- it may be the owner's own code
            self._blame(query, error)
            return
        if query.is_lesson and selection.shadows:
            selection = Selection(selection.models + selection.shadows, selection.propensity)
            asked, shadows = [*asked, *shadows], NOBODY
        query.selection = selection
        query.missing = len(asked)
        for served in shadows:
            self._shadow(query, served)
        for served in asked:
            self._ask(query, served)

    def _blame(self, query: Query, error: Exception) -> None:
        """The policy has failed: the default output answers, and the log says why, once."""
        route = query.route
        failure = blamed(route.policy, error)
        if route.key not in self._blamed:
            self._blamed.add(route.key)
            log.error("Application '%s': %s", route.app.name, failure.message, exc_info=error)
        self._default(query, "policy_failed", failure.message)

    def _ask(self, query: Query, served: ServedModel) -> None:
        waiter = partial(self._arrive, query, served.id)
        try:
            found = served.predict(query.input, query.deadline, waiter, query.group)
        except (ReplicaUnavailable, Overloaded) as error:
            self._arrive(query, served.id, error)
            return
        if type(found) is Task:
            query.waiting.append((served, found, waiter))
        elif type(found) is Near:
            query.cache = "approximate"
            self._arrive(query, served.id, found.output)
        elif type(found) is Output:
            query.cache = "exact"
            self._arrive(query, served.id, found)

    def _shadow(self, query: Query, served: ServedModel) -> None:
        """Ask a model whose output nobody waits for, when it has time; feedback will judge it."""
        deadline = self.now() + BACKGROUND_S
        try:
            found = served.predict(query.input, deadline, partial(_note, query, served.id))
        except (ReplicaUnavailable, Overloaded):
            return
        if type(found) is Near:
            found = found.output
        if type(found) is Output:
            _note(query, served.id, found)

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
        if not (query.missing or (query.route.policy.escalates and self._escalate(query))):
            self._complete(query)

    def _escalate(self, query: Query) -> bool:
        """Ask one model more, where the policy wants to; it is told at once that there is no time.

        A version that a query asks for is the only one.
        """
        route, selection = query.route, query.selection
        if selection is None:
            return False
        models, outputs = _askable(route), query.outputs
        try:
            model = route.policy.escalate(query.state, models, selection.models, outputs)
            served = None if model is None else route.models[model]
        except Exception as error:  # noqa: BLE001 -- it may be the owner's own code
            self._blame(query, error)
            return True
        if served is None:
            return False
        query.selection = Selection((*selection.models, served.id), selection.propensity)
        query.missing = 1
        self._ask(query, served)
        return True

    def expire(self, query: Query) -> None:
        """The deadline has come: answer from what is there."""
        self._complete(query)

    def _complete(self, query: Query) -> None:
        route = query.route
        if route.traffic is not None and query.selection is not None and not query.is_lesson:
            latency_s = self.now() - query.arrived
            route.traffic.note(query.selection.models[0], latency_s, not query.outputs)
        if query.selection is not None and len(query.outputs) < len(query.selection.models):
            query.lacking = tuple(
                model for model in query.selection.models if model not in query.outputs
            )
        if query.selection is not None and query.outputs:
            asked = query.selection.models
            usual = _usual(route, query.lacking) if query.lacking else NOTHING_USUAL
            try:
                output, confidence = route.policy.combine(query.state, asked, query.outputs, usual)
                if type(output) is not Output or not 0 <= confidence <= 1 + SLACK:
                    raise ValueError(f"combined into {output!r}, confidence {confidence}")
            except Exception as error:  # noqa: BLE001 -- it may be the owner's own code
                self._blame(query, error)
                return
            credits, names = route.stats.credits, route.names
            for model in query.outputs:
                name = names[model]
                credits[name] = credits.get(name, 0) + 1
            if confidence >= route.app.confidence_threshold - SLACK:
                self._answered(query, output, confidence, tuple(query.outputs))
            else:
                self._decline(query, output, confidence)
        elif isinstance(query.failure, Overloaded) and route.app.on_overload == "reject":
            self._reject(query, query.failure)
        else:
            self._default(query, *_cause(query.failure))

    def _reject(self, query: Query, error: Overloaded) -> None:
        """There is no prediction, not even the default one: whoever asked is to ask again."""
        query.error = error
        query.route.stats.rejected += 1
        self._finish(query)
        query.reply(query)
        query.waiting.clear()

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
        if query.selection is not None and route.policy.state_type is not None:
            held = sum(map(held_bytes, query.outputs.values()))
            for model, shadow in query.shadowed:
                query.outputs[model] = shadow
            # What shadows are still to say is held too; they say about as much.
            held += held * len(query.selection.shadows) // max(1, len(query.models))
            record = Record(
                route.app.name,
                route.app.registered,
                query.context,
                query.selection,
                query.outputs,
                RECORD_BYTES + held,
            )
        self._journal.write(query.id, record)
        query.reply(query)
        query.waiting.clear()

    def cancel(self, query: Query, outcome: str = "cancelled") -> None:
        """Nobody is answered: whoever asked has gone, or its request was rejected.

        A query that was not submitted is none to cancel.
        """
        if query.id >= 0 and not query.is_settled:
            query.route.stats.count(outcome)
            self._finish(query)
            query.waiting.clear()

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


def _askable(route: Route) -> Sequence[ModelId]:
    """The models that have replicas; all, where none has any, or the policy asks all."""
    if route.policy.asks_all:
        return route.all
    live = [model for model, served in route.models.items() if served.live]
    return live or tuple(route.models)


def _note(query: Query, model: ModelId, outcome: Output | ClipperError) -> None:
    """A shadow's output, for feedback to judge."""
    if type(outcome) is Output:
        if query.is_settled:
            query.outputs[model] = outcome  # which the journal's record shares
        else:
            query.shadowed += ((model, outcome),)


def _usual(route: Route, models: Sequence[ModelId]) -> Mapping[ModelId, Output]:
    """What these say on average, as far as that is known."""
    known = {}
    for model in models:
        usual = route.models[model].usual
        if usual is not None and (output := usual.output) is not None:
            known[model] = output
    return known


def sticky_draw(app: str, context: str) -> float:
    """The draw of a context, uniform in [0, 1) over contexts; the same in every process."""
    digest = blake2b(context.encode(), key=app.encode()[:64], digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / (1 << 53)


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
