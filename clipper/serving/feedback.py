"""Feedback: what was true, joined with what was predicted, taught to the policy.

By query id the prediction is in the journal. By input the policy selects as it would for a query,
the cache (or, on a miss, the model) gives the prediction, and that is judged.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from clipper.core.errors import (
    InvalidInput,
    Overloaded,
    PolicyFailed,
    ReplicaUnavailable,
    UnknownApplication,
    UnknownQuery,
)
from clipper.core.metrics import ApplicationStats
from clipper.core.outputs import json_text
from clipper.core.types import DEFAULT_CONTEXT, Input, ModelId, Output
from clipper.selection.combining import length_of
from clipper.selection.losses import LOSSES, is_outputs_fault
from clipper.selection.policy import Lesson, Selection, SelectionPolicy, State, Traffic
from clipper.serving.blame import blaming
from clipper.serving.decisions import DecisionLog
from clipper.serving.errands import Teach, unknown_query
from clipper.serving.journal import Journal, Record
from clipper.serving.predictor import BACKGROUND_S, Predictor
from clipper.serving.query import Query
from clipper.serving.snapshot import SHARED, Route
from clipper.serving.standing import Report, report
from clipper.serving.states import SelectionStates

NO_OUTPUT_LOSS = 1.0
IDS = range(2**63)
MOST_LENGTHS = 64
"""Of the labels that have judged an output of an application."""
Taught = Callable[[str, str], Awaitable[None]]
"""Told of an application's context that has learned something."""


async def nobody_else(app: str, context: str) -> None:
    """No other process has to know."""


class Feedback:
    """Learns from labels; every method says whether something was learned."""

    def __init__(
        self,
        predictor: Predictor,
        states: SelectionStates,
        journal: Journal,
        taught: Taught = nobody_else,
        decisions: DecisionLog | None = None,
    ) -> None:
        self._predictor = predictor
        self._states = states
        self._journal = journal
        self._taught = taught
        self._decisions = decisions
        self._lengths: dict[str, set[int]] = {}
        """Of the labels that have judged an output, by the application's key."""
        self.elsewhere: Teach = nowhere
        """Learns about queries that this process has not answered."""

    async def by_query(self, app: str, query_id: int, label: Any, context: str | None) -> bool:
        """The truth about a query that was answered; told twice, it counts once.

        Raises:
            UnknownApplication: no such application.
            UnknownQuery: never asked of this application, or too long ago.
            InvalidInput: a label that the application's loss cannot judge, or another context.
            PolicyFailed: it is one of the owner's own, and cannot learn this.
            StateError: the store cannot be written; nothing was learned.
            Unanswered: whoever answered the query does not say.
        """
        try:
            return await self.by_query_here(app, query_id, label, context)
        except UnknownQuery:
            if query_id not in IDS:
                raise
        return await self.elsewhere(app, query_id, label, context)

    async def by_query_here(self, app: str, query_id: int, label: Any, context: str | None) -> bool:
        """The same, about a query that this process has answered; else it is unknown."""
        route = self._route(app)
        record = self._remembered(route, query_id)
        if record is None:
            raise unknown_query(app, query_id)
        if record.selection is None:
            route.stats.feedbacks += 1
            return False
        if context is not None and (context or DEFAULT_CONTEXT) != record.context:
            raise InvalidInput(
                f"Query {query_id} was asked in context '{record.context}', not '{context}'.",
                hint="Leave the context out; the query's own applies.",
            )
        outputs = dict(record.outputs)
        losses = self._losses(route, label, record.selection, outputs)
        lesson = Lesson(record.selection, losses, outputs, _mapped(route, label))
        if record.is_judged:
            return False
        record.is_judged = True
        try:
            is_news = await self._learn(route, record.context, lesson, query_id)
        except BaseException:
            record.is_judged = False
            raise
        self._journal.judge(query_id)
        return is_news

    def remembers(self, app: str, query_id: int) -> bool:
        """Whether this process has answered this query of the application."""
        route = self._predictor.snapshot.get(app)
        return route is not None and self._remembered(route, query_id) is not None

    def _remembered(self, route: Route, query_id: int) -> Record | None:
        record = self._journal.read(query_id)
        if record is None or record.registered != route.app.registered:
            return None
        return record if record.app == route.app.name else None

    async def by_input(self, app: str, input: Input, label: Any, context: str | None) -> bool:
        """The truth about an input.

        Raises:
            UnknownApplication: no such application.
            InvalidInput: a label that the application's loss cannot judge.
            Overloaded: there is no room, and the application rejects what it cannot take.
            StateError: the store cannot be written; nothing was learned.
        """
        route = self._route(app)
        if route.policy.state_type is None or not route.models:
            route.stats.feedbacks += 1
            return False
        answered = asyncio.Event()
        now = self._predictor.now()
        # The application did not ask this itself: its numbers are left alone.
        unasked = replace(route, stats=ApplicationStats())
        query = Query(unasked, input, now, now + BACKGROUND_S, lambda _: answered.set())
        query.context = context or DEFAULT_CONTEXT
        query.is_lesson = True
        try:
            self._predictor.submit(query)
            await answered.wait()
        finally:
            self._predictor.cancel(query)
        if query.error is not None:
            raise query.error
        if query.selection is None or _is_nobodys_fault(query):
            return False
        return await self.by_query_here(app, query.id, label, query.context)

    def _losses(
        self, route: Route, label: Any, selection: Selection, outputs: Mapping[ModelId, Output]
    ) -> Mapping[ModelId, float]:
        """What each output costs; no output, when one was wanted, costs as much as a wrong one.

        So does an output that cannot be judged and is to blame for that: else a model that says
        nonsense would pay nothing for it, and get all the queries.

        Raises:
            InvalidInput: the label judges no output, and is to blame.
        """
        name, label = route.app.loss, _mapped(route, label)
        losses, refused = dict.fromkeys(selection.models, NO_OUTPUT_LOSS), []
        for model, output in outputs.items():
            try:
                losses[model] = LOSSES[name](label, output.value)
            except InvalidInput as refusal:
                losses[model] = NO_OUTPUT_LOSS
                refused.append((output.value, refusal))
        if len(refused) < len(outputs):
            self._note_length(route, length_of(label))
            return losses
        for value, error in refused:
            if not is_outputs_fault(name, label, value, self._lengths.get(route.key, ())):
                raise error
        return losses

    def _note_length(self, route: Route, length: int | None) -> None:
        lengths, snapshot = self._lengths, self._predictor.snapshot
        if len(lengths) > 2 * len(snapshot):
            keys = {route.key for route in snapshot.values()}
            lengths = self._lengths = {key: lengths[key] for key in keys & lengths.keys()}
        known = lengths.setdefault(route.key, set())
        if length is not None and len(known) < MOST_LENGTHS:
            known.add(length)

    async def _learn(self, route: Route, context: str, lesson: Lesson, query_id: int) -> bool:
        models, scope = tuple(route.models), route.scope(context)

        def learn(state: State) -> State:
            with blaming(route.policy):
                return route.policy.observe(state, models, lesson)

        if not await self._states.update(route.key, scope, route.policy, learn, query_id):
            return False
        route.stats.feedbacks += 1
        for model, loss in lesson.losses.items():
            if model in route.names:
                route.stats.judge(route.names[model], loss)
        if self._decisions is not None:
            self._decisions.note(route, context, query_id, lesson)
        await self._taught(route.key, scope)
        return True

    async def watch(self) -> None:
        """Tell policies that watch it what became of the queries since the last time.

        Raises:
            StateError: the store cannot be written; what is not told yet is told the next time.
        """
        for route in tuple(self._predictor.snapshot.values()):
            if route.traffic is None or not (counts := route.traffic.take()):
                continue
            learn = partial(_watch, route.policy, tuple(route.models), counts)
            try:
                await self._states.update(route.key, SHARED, route.policy, learn)
            except PolicyFailed:
                continue  # the log says why
            except BaseException:
                route.traffic.give_back(counts)
                raise
            if self._decisions is not None:
                state = await self._states.load(route.key, SHARED, route.policy)
                self._decisions.note_traffic(route, counts, state)
            await self._taught(route.key, SHARED)

    def _route(self, app: str) -> Route:
        route = self._predictor.snapshot.get(app)
        if route is None:
            raise UnknownApplication(f"No application with name '{app}' exists.")
        return route

    async def report(self, app: str, context: str) -> Report:
        """What a context has learned, and how its models stand.

        Raises:
            UnknownApplication: no such application.
            StateError: the store cannot be read.
        """
        route, state = self._route(app), await self.state(app, context)
        with blaming(route.policy):
            return report(route.policy, state, tuple(route.models))

    async def state(self, app: str, context: str) -> State:
        """What a context has learned; None where nothing is ever learned.

        Raises:
            UnknownApplication: no such application.
            StateError: the store cannot be read.
        """
        route = self._route(app)
        if route.policy.state_type is None:
            return None
        return await self._states.load(route.key, route.scope(context), route.policy)


async def nowhere(app: str, query_id: int, label: Any, context: str | None) -> bool:
    """There is no other process.

    Raises:
        UnknownQuery: always.
    """
    raise unknown_query(app, query_id)


def _watch(
    policy: SelectionPolicy,
    models: Sequence[ModelId],
    traffic: Mapping[ModelId, Traffic],
    state: State,
) -> State:
    with blaming(policy):
        return policy.watch(state, models, traffic)


def _is_nobodys_fault(query: Query) -> bool:
    """Whether no model has an output because none was asked: no replica was there, or no room."""
    return not query.outputs and isinstance(query.failure, Overloaded | ReplicaUnavailable)


def _mapped(route: Route, label: Any) -> Any:
    """What the application says that a label means; itself where it says nothing."""
    if not route.app.labels:
        return label
    return route.app.labels.get(label if isinstance(label, str) else json_text(label), label)
