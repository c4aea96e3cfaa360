"""`/health/live` and `/health/ready`, the same on both listeners."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter
from starlette.responses import Response

from clipper.frontend.failures import json_response


def build_health(readiness: Callable[[], Awaitable[Sequence[str]]]) -> APIRouter:
    """Routes that say whether the daemon lives, and whether it can serve.

    `readiness` returns the reasons why not; none means that it is.
    """
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live", summary="Whether the daemon runs")
    async def live() -> Response:
        return json_response({"live": True})

    @router.get("/ready", summary="Whether queries will be answered; 503 with the reasons if not")
    async def is_ready() -> Response:
        reasons = list(await readiness())
        body = {"ready": not reasons, "not_ready": reasons}
        return json_response(body, 503 if reasons else 200)

    return router
