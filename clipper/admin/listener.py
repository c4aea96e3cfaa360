"""One listener of the daemon as seen from a client: address, token, errors; sync over httpx."""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx

from clipper.admin.errors import ClipperRefused, ClipperTimeout, ClipperUnreachable, InvalidCall
from clipper.admin.messages import Request, unexpected

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
CONNECT_TIMEOUT_S = 5.0


def base_url(url: str) -> str:
    """The URL of a listener; `host:port` alone means HTTP.

    Raises:
        InvalidCall: it is no URL.
    """
    full = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(full)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return full.rstrip("/")
    except ValueError:
        pass
    raise InvalidCall(
        f"{url!r} is not the address of a listener.", hint="Write it as http://127.0.0.1:1338."
    )


def client_arguments(url: str, token: str | None, timeout_s: float) -> dict[str, Any]:
    """What a sync and an async httpx client are made with."""
    return {
        "base_url": url,
        "headers": {"Authorization": f"Bearer {_printable(token)}"} if token else {},
        "timeout": httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
        # A proxy named in the environment cannot reach this machine's loopback.
        "trust_env": urlsplit(url).hostname not in LOOPBACK,
    }


def _printable(token: str) -> str:
    if token.isascii() and token.isprintable():
        return token
    raise InvalidCall(
        "The token holds characters that no header may carry.",
        hint="Give it without line breaks, in ASCII.",
    )


def read(response: httpx.Response) -> Any:
    """The JSON of an answer; None where there is no body.

    Raises:
        ClipperRefused: the answer is no.
        ClipperUnreachable: it is no answer of Clipper.
    """
    if not response.is_success:
        raise refused(response)
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise unexpected(response.text) from None


def refused(response: httpx.Response) -> ClipperRefused:
    """The daemon's error, from any of the shapes in which it says no."""
    try:
        body = response.json()
    except ValueError:
        body = None
    status = response.status_code
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        message, code = str(error.get("message", "")), str(error.get("code", "error"))
        # What the daemon says of tokens is said in terms of headers.
        hint = (status != 401 and str(error.get("hint") or "")) or _hint(status)
        return ClipperRefused(message, code=code, hint=hint, status=status)
    if isinstance(error, str) and isinstance(body, dict):  # the query listener's shape
        message, hint = f"{error}: {body.get('cause', '')}", ""
        if status == 404 and ". " in message:  # what is unknown, and then what to do about it
            message, _, hint = message.partition(". ")
            message += "."
        hint = hint or _hint(status)
        return ClipperRefused(message, code=_code(error), hint=hint, status=status)
    text = json.dumps(body) if body is not None else response.text
    message = f"HTTP {status}: {text[:500].strip() or response.reason_phrase}"
    return ClipperRefused(message, code=f"http_{status}", hint=_hint(status), status=status)


def _code(text: str) -> str:
    return text.lower().replace(" ", "_")


def _hint(status: int) -> str:
    return _HINTS.get(status, "The daemon's log says more." if status >= 500 else _CHECK)


_CHECK = "Check the names and values of the call."
_HINTS = {
    401: "Give the listener's token: --token (CLIPPER_TOKEN) for the admin listener, --query-token "
    "(CLIPPER_QUERY_TOKEN) for the query listener.",
    403: "Call the daemon directly, by the host name it listens on.",
    404: "See what there is with `clipper-admin app list` and `clipper-admin model list`.",
    413: "Send less at once, or raise the daemon's max_body_bytes.",
    429: "Wait and try again, or add replicas with `clipper-admin model scale`.",
    502: "Mend what its last lines tell of, and deploy it again.",
    503: "See what is wrong with `clipper-admin status`, then try again.",
}


def unreachable(error: httpx.RequestError, url: str) -> ClipperUnreachable:
    """Why no answer came from a listener, and what to do about it."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return ClipperTimeout(
            f"{url} did not answer in time.",
            hint="See whether it is busy with `clipper-admin status`, or allow more time.",
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ClipperUnreachable(
            f"Nothing answers at {url} ({_cause(error)}).",
            hint="Start the daemon with `clipperd`, or give its addresses: --url and --query-url, "
            "or CLIPPER_URL and CLIPPER_QUERY_URL.",
        )
    return ClipperUnreachable(
        f"The connection to {url} broke ({_cause(error)}).",
        hint="Look whether clipperd still runs, with `clipper-admin doctor`.",
    )


def _cause(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__


class Listener:
    """A sync connection to one listener; threads may share it."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = base_url(url)
        self._http = httpx.Client(
            transport=transport, **client_arguments(self.url, token, timeout_s)
        )

    @property
    def address(self) -> str:
        """`host:port`, as the listener is known to clients."""
        return urlsplit(self.url).netloc

    def call(self, request: Request, *, timeout_s: float | None = None) -> Any:
        """Send a request and return the JSON of its answer.

        Raises:
            ClipperRefused: the daemon says no.
            ClipperUnreachable: no answer came.
        """
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(timeout_s)
        try:
            response = self._http.request(
                request.method,
                request.path,
                content=request.body,
                headers={"Content-Type": request.content_type},
                timeout=timeout,
            )
        except httpx.RequestError as error:
            raise unreachable(error, self.url) from None  # its message has the cause
        return read(response)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()
