"""A FastAPI route for strict JSON bodies."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import Scope

from clipper.core.errors import InvalidInput
from clipper.frontend.body import parse_json, shown


class JsonRequest(Request):
    """A request whose body was decoded already; all that it keeps of the headers is its type."""

    def __init__(self, scope: Scope, content: bytes, value: Any) -> None:
        super().__init__({**scope, "headers": [(b"content-type", b"application/json")]})
        self._content = content
        self._value = value

    async def body(self) -> bytes:
        """The body as it came."""
        return self._content

    async def json(self) -> Any:
        """The body's value."""
        return self._value


class JsonRoute(APIRoute):
    """A route whose body is one JSON object, whatever its Content-Type says.

    FastAPI alone takes a body without `application/json` for a string, and decodes JSON with the
    standard library, which knows NaN and breaks on deep nesting.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with the body decoded before it."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def decode_and_handle(request: Request) -> Response:
            content = await request.body()
            return await handle(JsonRequest(request.scope, content, _object(content)))

        return decode_and_handle


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = parse_json(content)
    except InvalidInput as error:
        raise InvalidInput(
            f"The body is not valid JSON: {error.message}.", hint="Send one JSON object, in UTF-8."
        ) from None
    if isinstance(value, dict):
        return value
    raise InvalidInput(f"The body is {shown(value)}.", hint="Send a JSON object.")
