"""What stands in front of the admin routes: plain ASGI, so that nothing is parsed before it.

A daemon on loopback is reachable by every web page that the machine's user opens: a page may send
POSTs to it (the body need not call itself JSON), and a page whose name is made to resolve to
127.0.0.1 may even read the answers. Hence `HostGuard`, which knows the daemon's own names, and
`OriginGuard`, which knows what browsers say of a request's origin; other clients say nothing. A
daemon that listens beyond loopback has `PeerGuard` against the models that it runs itself.
"""

import hmac
import logging
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipper.core.settings import is_loopback
from clipper.frontend.failures import refusal

log = logging.getLogger(__name__)

UNGUARDED = ("/health/live", "/health/ready")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/?#\s]+)(?::[0-9]*)?")


class TokenGuard:
    """Lets a request through that carries `Authorization: Bearer <token>`; health is open."""

    def __init__(self, app: ASGIApp, token: str, what: str = "admin") -> None:
        self._app = app
        self._token = token.encode()
        self._what = what

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or scope["path"] in UNGUARDED or self._knows(scope):
            await self._app(scope, receive, send)
            return
        response = refusal(
            scope["path"],
            401,
            "unauthorized",
            f"The {self._what} token is missing or wrong.",
            f"Send the header `Authorization: Bearer <{self._what}_token>`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await response(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        given = Headers(scope=scope).getlist("authorization")
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(" ")
        # Headers were decoded as latin-1; the comparison takes as long for any text.
        matches = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        return matches and scheme.lower() == "bearer"


class HostGuard:
    """On a daemon bound to loopback, refuses requests that were sent to some other host name."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._own = host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http":
            for host in Headers(scope=scope).getlist("host"):
                if not self._is_own(host):
                    await _forbid(
                        f"The Host header {host[:80]!r} is not this daemon's.",
                        "Call it as 127.0.0.1 or localhost.",
                    )(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _is_own(self, authority: str) -> bool:
        match = AUTHORITY.fullmatch(authority)
        if match is None:
            return False
        host = match[1].strip("[]").removesuffix(".").lower()
        return host == self._own or is_loopback(host)


class PeerGuard:
    """On a daemon that listens beyond loopback, refuses what the models themselves send.

    A model's container has to be reached by the machine, so it reaches what listens on all of the
    machine's addresses; whatever token it has got hold of, it administers nothing.
    """

    def __init__(self, app: ASGIApp, is_model: Callable[[str], bool]) -> None:
        self._app = app
        self._is_model = is_model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        peer = scope.get("client")
        if scope["type"] == "http" and peer and self._is_model(peer[0]):
            await _forbid(
                "A model's container may not administer the daemon that runs it.",
                "Call it from outside of the container.",
            )(scope, receive, send)
            return
        await self._app(scope, receive, send)


class OriginGuard:
    """Refuses requests that change something and that a browser sends for another site's page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or _is_same_origin(scope):
            await self._app(scope, receive, send)
            return
        await _forbid(
            "A web page of another origin may not call this daemon.",
            "Call it from a program, or from its own /docs page.",
        )(scope, receive, send)


def _is_same_origin(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


def _forbid(message: str, hint: str) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await refusal(scope["path"], 403, "forbidden", message, hint)(scope, receive, send)

    return answer


class LastResort:
    """Answers 500 for what nobody foresaw; what it was goes to the log, not to the client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def watched(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            log.debug("%s %s: the client left first", scope["method"], scope["path"])
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if has_started:
                raise  # half an answer cannot be mended; the server closes the connection
            response = refusal(
                scope["path"],
                500,
                "internal_error",
                "Something went wrong in the daemon.",
                "Its log has the details.",
            )
            await response(scope, receive, send)
