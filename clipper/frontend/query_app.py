"""The query listener's application: what applications call.

`POST /{app}/predict` is declared here for OpenAPI, and answers what the fast path leaves; the code
behind both is `Exchange`.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from clipper import __version__
from clipper.core.errors import InvalidInput, StateError, UnknownApplication
from clipper.core.types import Input
from clipper.frontend.body import parse_json, shown
from clipper.frontend.decode import CODECS, MalformedQuery
from clipper.frontend.exchange import Exchange
from clipper.frontend.failures import add_failures, json_response
from clipper.frontend.guards import LastResort, TokenGuard
from clipper.frontend.health import build_health
from clipper.frontend.old_metrics import old_metrics
from clipper.frontend.options import check_context, read_options
from clipper.frontend.query_schemas import FEEDBACK, PREDICT
from clipper.frontend.scrape import scrape, wants_prometheus
from clipper.serving.figures import Figures
from clipper.serving.predictor import Predictor
from clipper.serving.snapshot import Route


class Teacher(Protocol):
    """Learns from labels; both methods say whether something was learned."""

    async def by_query(self, app: str, query_id: int, label: Any, context: str | None) -> bool:
        """The truth about a query that was answered."""

    async def by_input(self, app: str, input: Input, label: Any, context: str | None) -> bool:
        """The truth about an input."""


class Answering(Protocol):
    """What answers the queries: the daemon, or one of its workers."""

    @property
    def predictor(self) -> Predictor:
        """Answers in this process."""

    @property
    def feedback(self) -> Teacher:
        """Learns, wherever the query was answered."""

    async def readiness(self) -> Sequence[str]:
        """Why queries would not be answered by models; empty when they would."""

    async def figures(self) -> Figures:
        """All that is counted, by whichever process."""


def build_query_app(services: Answering, query_token: str) -> FastAPI:
    """Everything that the query listener serves, the fast path aside."""
    app = FastAPI(
        title="Clipper",
        summary="Predictions and feedback",
        version=__version__,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(build_health(services.readiness))
    _add_predict(app, services)
    _add_feedback(app, services)
    _add_metrics(app, services)
    add_failures(app)
    if query_token:
        app.add_middleware(TokenGuard, token=query_token, what="query")
    app.add_middleware(LastResort)
    return app


def _route(services: Answering, app: str) -> Route:
    if not services.predictor.is_loaded:
        raise StateError("The store cannot be reached yet.", hint="Try again shortly.")
    route = services.predictor.snapshot.get(app)
    if route is None:
        raise UnknownApplication(f"No application with name '{app[:128]}' exists.")
    return route


def _add_predict(app: FastAPI, services: Answering) -> None:
    @app.post("/{name}/predict/", include_in_schema=False)
    @app.post("/{name}/predict", tags=["queries"], openapi_extra=PREDICT)
    async def predict(name: str, request: Request) -> Response:
        """Predict; answers within the application's latency objective."""
        route = _route(services, name)
        content_type = request.headers.get("content-type", "").encode("latin-1")
        options = read_options(request.scope["query_string"], content_type)
        raw = await request.body()
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def respond(status: int, body: bytes) -> None:
            headers = {"Retry-After": "1"} if status == 429 else None
            if not answered.done():  # done: whoever asked has gone
                answered.set_result(Response(body, status, headers, "application/json"))

        exchange = Exchange(respond, options)
        try:
            exchange.begin(services.predictor, route, [raw], services.predictor.now())
            return await answered
        finally:
            exchange.cancel()


def _add_feedback(app: FastAPI, services: Answering) -> None:
    @app.post("/{name}/update", tags=["queries"], openapi_extra=FEEDBACK)
    async def update(name: str, request: Request) -> Response:
        """Feedback as the old release took it: uid, input and a number as label."""
        route = _route(services, name)
        body = _object(await request.body())
        for key in ("uid", "input", "label"):
            if key not in body:
                raise MalformedQuery(f"JSON object does not have required key: {key}")
        if isinstance(body["label"], bool) or not isinstance(body["label"], int | float):
            raise MalformedQuery(f"label is {shown(body['label'])}; it must be a number.")
        learned = await _by_input(services, route, body)
        return Response(
            f"Feedback received? {int(learned)}", headers={"Content-Type": "application/json"}
        )

    @app.post("/{name}/feedback", tags=["queries"], openapi_extra=FEEDBACK)
    async def feedback(name: str, request: Request) -> Response:
        """Say what was true, of a query by its id, or of an input."""
        route = _route(services, name)
        body = _object(await request.body())
        if "label" not in body:
            raise MalformedQuery("JSON object does not have required key: label")
        if "query_id" in body:
            learned = await _by_query(services, route, body)
        elif "input" in body:
            learned = await _by_input(services, route, body)
        else:
            raise MalformedQuery("The body has neither `query_id` nor `input`.")
        return json_response({"learned": learned})


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = parse_json(raw)
    except InvalidInput as error:
        raise MalformedQuery(f"The body is not valid JSON: {error.message}") from None
    if not isinstance(body, dict):
        raise MalformedQuery(f"The body is a JSON {type(body).__name__}, not an object.")
    return body


async def _by_query(services: Answering, route: Route, body: dict[str, Any]) -> bool:
    query_id = body["query_id"]
    if isinstance(query_id, bool) or not isinstance(query_id, int):
        raise MalformedQuery(f"query_id is {shown(query_id)}; it must be an integer.")
    name = route.app.name
    return await services.feedback.by_query(name, query_id, body["label"], _context(body))


async def _by_input(services: Answering, route: Route, body: dict[str, Any]) -> bool:
    input = CODECS[route.input_type].pack_any(body["input"])
    return await services.feedback.by_input(route.app.name, input, body["label"], _context(body))


def _context(body: dict[str, Any]) -> str | None:
    """The context, which the old release knew as an integer `uid`."""
    context, uid = body.get("context"), body.get("uid")
    if context is not None and not isinstance(context, str):
        raise MalformedQuery(f"context is {shown(context)}; it must be a string.")
    if uid is not None and (isinstance(uid, bool) or not isinstance(uid, int)):
        raise MalformedQuery(f"uid is {shown(uid)}; it must be an integer.")
    return check_context(context if uid is None or context is not None else str(uid))


def _add_metrics(app: FastAPI, services: Answering) -> None:
    @app.get("/metrics", tags=["status"])
    async def metrics(request: Request) -> Response:
        """Metrics: as the old release's JSON, or as Prometheus reads them where it asks."""
        figures = await services.figures()
        if wants_prometheus(request):
            return scrape(figures.metrics.registry, request)
        return json_response(old_metrics(figures.metrics, figures.uptime_s))
