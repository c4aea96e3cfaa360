"""How errors look over HTTP: a table from exception to status, and the shapes of the bodies.

Routes under `/api/v1/` answer `{"error": {"code", "message", "hint"}}`, all others as the old
release did: `{"error": "...", "cause": "..."}`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from clipper.core.errors import (
    AlreadyExists,
    ClipperError,
    DeployError,
    Incompatible,
    Overloaded,
    ReplicaError,
    RequestError,
    StateError,
    Unanswered,
    UnknownApplication,
    UnknownModel,
    UnknownPackage,
    UnknownQuery,
)
from clipper.frontend.body import shown

API = "/api/v1/"
RETRY_AFTER_S = "1"

STATUS: Mapping[type[ClipperError], int] = {
    RequestError: 400,
    UnknownApplication: 404,
    UnknownModel: 404,
    UnknownPackage: 404,
    UnknownQuery: 404,
    AlreadyExists: 409,
    Incompatible: 409,
    Overloaded: 429,
    ReplicaError: 502,
    DeployError: 502,
    StateError: 503,
    Unanswered: 503,
    ClipperError: 500,
}


NAMES = {
    "malformed_query": "Json error",
    "malformed_frame": "Frame error",
    "invalid_input": "Query processing error",
}
"""What these are called in the old release's shape, by code; all but the frames' are its words."""


def status_of(error: ClipperError) -> int:
    """The status of the error's nearest class in the table."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def retry_headers(status: int) -> dict[str, str]:
    """What a client should be told about asking again."""
    return {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else {}


def json_response(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer; Infinity and NaN cannot be in it."""
    body = msgspec.json.encode(content)
    return Response(body, status, headers=headers, media_type="application/json")


def error_response(error: ClipperError, path: str) -> Response:
    """The answer to a request that failed with one of our own errors."""
    status = status_of(error)
    return refusal(
        path, status, error.code, error.message, error.hint, headers=retry_headers(status)
    )


def refusal(
    path: str,
    status: int,
    code: str,
    message: str,
    hint: str = "",
    *,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error in the shape that goes with the path."""
    if path.startswith(API):
        content: object = {"error": {"code": code, "message": message, "hint": hint}}
    else:
        name = NAMES.get(code, HTTPStatus(status).phrase)
        content = {"error": name, "cause": f"{message} {hint}".strip()}
    return json_response(content, status, headers)


def add_failures(app: FastAPI) -> None:
    """Every refusal in JSON, in the shape that goes with its path."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, ClipperError)
        return error_response(error, request.url.path)

    async def malformed(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        message = "; ".join(map(_complaint, error.errors()))
        hint = "The schema is at /docs."
        return refusal(request.url.path, 422, "invalid_request", message, hint)

    async def misdirected(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path, status = request.url.path, error.status_code
        code = HTTPStatus(status).phrase.lower().replace(" ", "_")
        message = f"{request.method} {path[:200]}: {error.detail}."
        hint = "The routes are listed at /docs."
        return refusal(path, status, code, message, hint, headers=error.headers)

    app.add_exception_handler(ClipperError, ours)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, misdirected)


def _complaint(error: Mapping[str, Any]) -> str:
    """One violation of a schema: where, what, and what was there instead."""
    key = ".".join(map(str, error["loc"][1:])) or "the request"
    problem = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{key} is no key of this request"
    if error["type"] in ("missing", "value_error"):
        return f"{key}: {problem}"
    return f"{key}: {problem}, not {shown(error['input'])}"
