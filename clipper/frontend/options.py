"""What a predict request says besides its body: how that is to be read, and its URL's parameters.

A JSON body says everything itself, and of the URL only `explain` counts. A body of frames holds
nothing but inputs; what JSON has keys for comes as parameters, percent-encoded, under their names.
"""

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from clipper.core.errors import InvalidInput
from clipper.core.outputs import NOT_JSON
from clipper.frontend.body import shown

FRAMES = b"application/octet-stream"
"""The one media type that makes a body frames; clients send JSON under any other, or none."""
MAX_CONTEXT = 1024
"""In characters: contexts are kept, in memory and in the store."""
MAX_SLO_MS = 1e12
"""Above any application's, which cuts it anyway; an integer may be too large to be divided."""


class Options(msgspec.Struct, frozen=True, gc=False):
    """A request's head, understood; the last three are those of a body of frames."""

    explain: bool = False
    is_framed: bool = False
    version: str | None = None
    context: str | None = None
    slo_s: float | None = None


JSON = Options()
JSON_EXPLAINED = Options(explain=True)


def read_options(query: bytes, content_type: bytes) -> Options:
    """The options in a URL's query and a Content-Type, either of which may be empty.

    Raises:
        InvalidInput: a parameter has no value that it may have.
    """
    if content_type.partition(b";")[0].strip().lower() == FRAMES:
        return _framed(query)
    return JSON_EXPLAINED if b"explain=1" in query.split(b"&") else JSON


def _framed(query: bytes) -> Options:
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput("The parameters of the URL are not UTF-8.") from None
    given = dict(pairs)
    return Options(
        explain=given.get("explain") == "1",
        is_framed=True,
        version=given.get("version"),
        context=check_context(given.get("context")),
        slo_s=seconds(_value(given.get("slo_ms", "null"))),
    )


def _value(text: str) -> Any:
    """A parameter as JSON has it, or the text itself for the complaint about it."""
    try:
        return msgspec.json.decode(text)
    except NOT_JSON:
        return text


def check_context(context: str | None) -> str | None:
    """A context that may be kept, or none.

    Raises:
        InvalidInput: it is too long.
    """
    if context is not None and len(context) > MAX_CONTEXT:
        raise InvalidInput(f"context has {len(context)} characters; it may have {MAX_CONTEXT}.")
    return context


def seconds(slo_ms: Any) -> float | None:
    """An SLO in milliseconds, if there is one, in seconds.

    Raises:
        InvalidInput: it is no number above 0.
    """
    if slo_ms is None:
        return None
    if type(slo_ms) in (int, float) and slo_ms > 0:
        return float(min(slo_ms, MAX_SLO_MS)) / 1000
    raise InvalidInput(f"slo_ms is {shown(slo_ms)}; it must be a number above 0.")
