"""An asyncio client for queries, over one pool of kept-alive connections.

async with AsyncQueryClient() as clipper:
    prediction = await clipper.predict("digits", [0.5, 1.0])
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import httpx

from clipper.admin.client import QUERY_URL
from clipper.admin.environment import from_environment
from clipper.admin.listener import base_url, client_arguments, read, unreachable
from clipper.admin.messages import (
    MISSING,
    FeedbackResult,
    Prediction,
    QueryOptions,
    Request,
    feedback_request,
    parse_batch,
    parse_feedback,
    parse_prediction,
    predict_batch_request,
    predict_request,
)


class AsyncQueryClient:
    """The query listener for asyncio; any number of calls may be under way at once.

    The address and token come from CLIPPER_QUERY_URL and CLIPPER_QUERY_TOKEN where none are given.
    At most `connections` requests are on their way; further calls wait for a free connection.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        timeout_s: float = 30.0,
        connections: int = 100,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        found = {"query_url": QUERY_URL} | from_environment()
        self.url = base_url(url or found["query_url"])
        token = token or found.get("query_token")
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._http = httpx.AsyncClient(
            transport=transport, limits=limits, **client_arguments(self.url, token, timeout_s)
        )

    async def predict(
        self,
        app: str,
        input: Any,
        version: str | None = None,
        context: str | None = None,
        slo_ms: float | None = None,
        explain: bool = False,
    ) -> Prediction:
        """Ask an application for one prediction; a default answer says why in `explanation`."""
        options = QueryOptions(version, context, slo_ms, explain)
        return parse_prediction(await self._call(predict_request(app, input, options)))

    async def predict_batch(
        self,
        app: str,
        inputs: Iterable[Any],
        version: str | None = None,
        context: str | None = None,
        slo_ms: float | None = None,
        explain: bool = False,
    ) -> list[Prediction]:
        """Ask for a prediction of each input; answers come in the order of the inputs."""
        options = QueryOptions(version, context, slo_ms, explain)
        return parse_batch(await self._call(predict_batch_request(app, inputs, options)))

    async def feedback(
        self,
        app: str,
        label: Any,
        query_id: int | None = None,
        input: Any = MISSING,
        context: str | None = None,
    ) -> FeedbackResult:
        """Tell an application the true answer to a query, named by its id or by its input."""
        asked = feedback_request(app, label, query_id, input, context)
        return parse_feedback(await self._call(asked))

    async def _call(self, request: Request) -> Any:
        try:
            response = await self._http.request(
                request.method,
                request.path,
                content=request.body,
                headers={"Content-Type": request.content_type},
            )
        except httpx.RequestError as error:
            raise unreachable(error, self.url) from None  # its message has the cause
        return read(response)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
