"""One predict request and its response: bytes to queries, queries back to bytes.

The same for every way in: the fast path of `protocol`, and the route that FastAPI declares.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from clipper.core.errors import ClipperError, InvalidInput, Overloaded, Shed
from clipper.core.types import ModelId
from clipper.frontend.decode import CODECS, QueryRequest
from clipper.frontend.failures import NAMES
from clipper.frontend.frames import read_frames
from clipper.frontend.options import Options
from clipper.frontend.pieces import Piece
from clipper.serving.predictor import Predictor
from clipper.serving.query import LATE, Query
from clipper.serving.snapshot import Route

Respond = Callable[[int, bytes], None]
"""Called once with the status and the JSON body."""

OVERLOADED = 429
BEHIND = 0.3
"""A query that comes to its turn when so much of the SLO has gone by is not even read. With more to
do than it can, the daemon would else work on queries whose time is nearly over, and on those only;
to refuse a few of them unread lets it catch up, so that the next ones have time."""
UNREAD = Overloaded("The daemon has more to do than it can, and did not read the query.")
SHED = Shed()
TURNS = 2
"""As late as the daemon is to read a query, so late will it be to hear from the replica, and then
to answer: all of them wait for their turn of the event loop."""

_encode = msgspec.json.Encoder().encode


class Exchange(msgspec.Struct, eq=False):
    """Answers one request; `cancel` it when whoever asked has gone."""

    respond: Respond
    options: Options
    queries: tuple[Query, ...] = ()
    """What is not answered yet. Queries hold on to their exchange; emptied when it is answered,
    this leaves no cycle behind."""
    unanswered: int = 0
    predictor: Predictor | None = None

    def begin(
        self, predictor: Predictor, route: Route, pieces: Sequence[Piece], arrived: float
    ) -> None:
        """Decode a body and submit its queries; the response may come before this returns."""
        self.predictor = predictor
        age_s = predictor.now() - arrived
        if age_s > BEHIND * route.slo_s and self._may_stay_unread(pieces):
            self._refuse(predictor, route, arrived, UNREAD)
            return
        try:
            request = _read(pieces, route, self.options)
        except InvalidInput as error:
            self.respond(400, refusal(error))
            return
        slo_s = route.slo_s if request.slo_s is None else min(request.slo_s, route.slo_s)
        deadline, context = arrived + slo_s, request.context or ""
        if self._is_shed(route, request, deadline - TURNS * age_s):
            self._refuse(predictor, route, arrived, SHED)
            return
        version, group = request.version, self if len(request.inputs) > 1 else None
        queries = self.queries = tuple(
            [
                Query(route, input, arrived, deadline, self._arrive, version, context, group)
                for input in request.inputs
            ]
        )
        self.unanswered = len(queries)
        if not queries:
            self.respond(200, b'{"batch_predictions":[]}')
        for query in queries:
            predictor.submit(query)
            if not self.unanswered:  # one was rejected, and so is the whole request
                break

    def _may_stay_unread(self, pieces: Sequence[Piece]) -> bool:
        """Whether one answer will do, and a plain one, as far as can be told without reading."""
        options = self.options
        if options.is_framed or options.explain:
            return False
        return all(b"input_batch" not in piece for piece in pieces)

    def _is_shed(self, route: Route, request: QueryRequest, deadline: float) -> bool:
        """Whether the one model that there is to ask would answer a plain query too late."""
        return (
            route.sole is not None
            and request.version is None
            and len(request.inputs) == 1
            and not self.options.explain
            and route.sole.sheds(request.inputs[0], deadline)
        )

    def _refuse(
        self, predictor: Predictor, route: Route, arrived: float, error: Overloaded
    ) -> None:
        """Answer without a query, for next to nothing."""
        query_id = predictor.refuse(route, arrived)
        if route.app.on_overload == "reject":
            self.respond(OVERLOADED, _rejection(error))
        else:
            self.respond(200, b'{"query_id":%d%b' % (query_id, _excuse(route.default.json, error)))

    def _arrive(self, query: Query) -> None:
        if not self.unanswered:  # the request was refused meanwhile
            return
        if query.error is not None:
            self._overloaded(query.error)
            return
        explain = self.options.explain
        if explain:
            query.timing()
        self.unanswered -= 1
        if not self.unanswered:
            predictions = [encode_prediction(one, explain) for one in self.queries]
            self.queries = ()
            if len(predictions) == 1:
                self.respond(200, predictions[0])
            else:
                self.respond(200, b'{"batch_predictions":[%b]}' % b",".join(predictions))

    def _overloaded(self, error: Overloaded) -> None:
        """One query that cannot be taken refuses the whole request; the client sends it again."""
        self.unanswered = 0
        self.cancel("rejected")
        self.respond(OVERLOADED, _rejection(error))

    def cancel(self, outcome: str = "cancelled") -> None:
        """Withdraw what is not answered yet."""
        for query in self.queries:
            assert self.predictor is not None
            self.predictor.cancel(query, outcome)
        self.queries = ()


def _read(pieces: Sequence[Piece], route: Route, options: Options) -> QueryRequest:
    if not options.is_framed:
        return CODECS[route.input_type].read(b"".join(pieces), route.requested)
    if options.version is not None:
        route.requested(options.version)
    inputs = read_frames(pieces, route.input_type)
    return QueryRequest(inputs, options.version, options.context, options.slo_s)


def encode_prediction(query: Query, explain: bool) -> bytes:
    """The JSON object of one settled query."""
    if query.explanation:
        answer = b'{"query_id":%d,"output":%b,"default":true,"default_explanation":%b%b' % (
            query.id,
            query.output.json,
            _encode(query.explanation),
            _credits(query.models, query.confidence),
        )
        if query.declined is not None:
            answer += b',"prediction":%b' % query.declined.json
    else:
        answer = b'{"query_id":%d,"output":%b,"default":false%b' % (
            query.id,
            query.output.json,
            _credits(query.models, query.confidence),
        )
    if query.lacking:
        answer += b',"missing":%b' % _encode([str(model) for model in query.lacking])
    if explain:
        return b'%b,"timing":%b,"cache":"%b"}' % (
            answer,
            _encode(query.timing()),
            query.cache.encode(),
        )
    return answer + b"}"


@lru_cache(maxsize=1024)
def _excuse(default: bytes, error: Overloaded) -> bytes:
    """What follows the id where the default output answers."""
    why = _encode(f"{LATE}: {error.message}")
    answer = b',"output":%b,"default":true,"default_explanation":%b' % (default, why)
    return answer + _credits((), 0.0) + b"}"


@lru_cache(maxsize=4096)
def _credits(models: tuple[ModelId, ...], confidence: float) -> bytes:
    """How sure the answer is, and who gave it."""
    names = _encode([str(model) for model in models])
    return b',"confidence":%b,"models":%b' % (_encode(confidence), names)


def _rejection(error: Overloaded) -> bytes:
    """The body that asks to come again."""
    return _encode({"error": "Overloaded", "cause": _cause(error)})


def refusal(error: InvalidInput) -> bytes:
    """The body that says why a request is none."""
    return _encode({"error": NAMES[error.code], "cause": _cause(error)})


def _cause(error: ClipperError) -> str:
    return f"{error.message} {error.hint}".strip()
