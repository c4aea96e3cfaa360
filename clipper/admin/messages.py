"""Queries and feedback as requests, and their answers as values; pure, for both query clients."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from clipper.admin.errors import ClipperUnreachable, InvalidCall
from clipper.admin.frames import MEDIA_TYPE, frame_of

MISSING: Any = object()
"""Stands for "no input given", since None is a JSON value."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to a listener."""

    method: str
    path: str
    """Percent-encoded, with any query string."""
    body: bytes | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one query."""

    query_id: int
    """Names the query in later feedback."""
    output: Any
    is_default: bool
    """Whether no model answered in time and the application's default output stands in."""
    explanation: str = ""
    """Why the default answered; empty where a model did."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The whole answer, with the keys that are not named here."""


@dataclass(frozen=True, slots=True)
class FeedbackResult:
    """What became of a label."""

    learned: bool
    """Whether the application's selection policy made use of it."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def encode(value: object) -> bytes:
    """JSON text of a body; arrays become lists, bytes become base64.

    Raises:
        InvalidCall: NaN, infinity, or a type that JSON has no word for.
    """
    try:
        text = json.dumps(
            value, allow_nan=False, default=_plain, ensure_ascii=False, separators=(",", ":")
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidCall(
            f"This cannot be sent as JSON: {error}.",
            hint="Send numbers other than NaN and infinity, text, bytes, arrays, or JSON values.",
        ) from error


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    # The array protocol that numpy arrays, numpy scalars, pandas series and torch tensors share.
    tolist = getattr(value, "tolist", None)
    if callable(tolist):
        return tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def path(*parts: str, **query: object) -> str:
    """A path of names, each of them percent-encoded; queries that are None are left out."""
    pairs = [f"{key}={quote(str(value))}" for key, value in query.items() if value is not None]
    return (
        "/"
        + "/".join(quote(part, safe="") for part in parts)
        + ("?" if pairs else "")
        + ("&".join(pairs))
    )


def request(method: str, *parts: str, body: object = None, **query: object) -> Request:
    """A request for a resource, with a JSON body where one is given."""
    return Request(method, path(*parts, **query), None if body is None else encode(body))


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What a query may say besides its input."""

    version: str | None = None
    """A registered version of the linked model, instead of the current one."""
    context: str | None = None
    """Whose selection state applies."""
    slo_ms: float | None = None
    """A tighter deadline for this query."""
    explain: bool = False
    """Ask for timing and cache details, found in `raw`."""

    def keys(self) -> dict[str, object]:
        """The keys of a body of JSON, or the parameters that go with a body of frames."""
        named = {"version": self.version, "context": self.context, "slo_ms": self.slo_ms}
        return {key: value for key, value in named.items() if value is not None}


def predict_request(app: str, value: object, options: QueryOptions) -> Request:
    """Ask for one prediction; an array or bytes go as a frame."""
    frame = frame_of(value)
    if frame is None:
        return _query(app, {"input": value}, options)
    return _framed(app, frame, options)


def predict_batch_request(app: str, values: Iterable[object], options: QueryOptions) -> Request:
    """Ask for a prediction of each input; they go as frames if all of them can."""
    inputs = list(values)
    frames = [frame for frame in map(frame_of, inputs) if frame is not None]
    if not inputs or len(frames) < len(inputs):
        return _query(app, {"input_batch": inputs}, options)
    return _framed(app, b"".join(frames), options)


def _query(app: str, body: dict[str, object], options: QueryOptions) -> Request:
    explain = 1 if options.explain else None
    return request("POST", app, "predict", body={**body, **options.keys()}, explain=explain)


def _framed(app: str, body: bytes, options: QueryOptions) -> Request:
    explain = 1 if options.explain else None
    where = path(app, "predict", **options.keys(), explain=explain)
    return Request("POST", where, body, MEDIA_TYPE)


def feedback_request(
    app: str, label: object, query_id: int | None, value: object, context: str | None
) -> Request:
    """Tell the truth about a query, named by its id or by its input.

    Raises:
        InvalidCall: neither or both are given.
    """
    if (query_id is None) == (value is MISSING):
        raise InvalidCall(
            "Feedback names its query by query_id or by input.",
            hint="Give one of the two; a prediction carries its query_id.",
        )
    named: dict[str, object] = {"input": value} if query_id is None else {"query_id": query_id}
    body = {**named, "label": label} | ({} if context is None else {"context": context})
    return request("POST", app, "feedback", body=body)


def parse_prediction(answer: Any) -> Prediction:
    """One prediction out of the daemon's answer."""
    try:
        return Prediction(
            query_id=answer["query_id"],
            output=answer["output"],
            is_default=answer["default"],
            explanation=answer.get("default_explanation", ""),
            raw=answer,
        )
    except (KeyError, TypeError, AttributeError):
        raise unexpected(answer) from None


def parse_batch(answer: Any) -> list[Prediction]:
    """The predictions of a batch; the daemon answers a batch of one with the bare object."""
    if isinstance(answer, dict) and "batch_predictions" in answer:
        return [parse_prediction(one) for one in answer["batch_predictions"]]
    return [parse_prediction(answer)]


def parse_feedback(answer: Any) -> FeedbackResult:
    """What became of a label, out of the daemon's answer."""
    try:
        return FeedbackResult(learned=bool(answer["learned"]), raw=answer)
    except (KeyError, TypeError):
        raise unexpected(answer) from None


def unexpected(answer: object) -> ClipperUnreachable:
    """An answer that Clipper does not give."""
    return ClipperUnreachable(
        f"This is no answer of Clipper: {str(answer)[:200]!r}.",
        hint="Check the address: another program may listen there, or another release of clipperd.",
    )
