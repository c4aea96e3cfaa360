"""What the connections of one listener share: limits, the fast path, heads seen before."""

import asyncio
from dataclasses import dataclass, field

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from clipper.frontend.inbox import Inbox
from clipper.frontend.options import Options
from clipper.serving.predictor import Predictor
from clipper.serving.snapshot import Route

PREDICT = b"/predict"
MAX_HEADS = 4096
LENGTH = b"content-type: application/json\r\ncontent-length: "


class Head(msgspec.Struct, frozen=True, gc=False):
    """A request line with its headers, as the parser understood it: a plain, whole prediction."""

    app: str
    options: Options
    length: int
    """Of the body, in bytes."""


@dataclass(slots=True)
class Door:
    """What all connections of one listener share."""

    max_body_bytes: int
    read_timeout_s: float
    predictor: Predictor | None = None
    """None: there is no fast path here."""
    token: bytes = b""
    """Empty: anyone may ask."""
    is_draining: bool = False
    emptied: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the last connection has ended."""
    date: bytes = b""
    """The Date header line; kept current by the listener."""
    ok: bytes = b""
    """An answer's beginning, up to its length; likewise."""
    inbox: Inbox = field(default_factory=Inbox)
    heads: dict[bytes, Head] = field(default_factory=dict)
    """What the parser made of request heads that clients send again and again, byte for byte."""

    def set_date(self, date: bytes) -> None:
        """The date that answers carry from now on."""
        self.date = b"date: %b\r\n" % date
        self.ok = b"%b%b%b" % (STATUS_LINE[200], self.date, LENGTH)

    def learn(self, text: bytes, head: Head) -> None:
        """Remember a head; all are forgotten now and then, so that they cannot pile up."""
        if len(self.heads) >= MAX_HEADS:
            self.heads.clear()
        self.heads[text] = head

    def route(self, app: str) -> Route | None:
        """An application that is served."""
        return None if self.predictor is None else self.predictor.snapshot.get(app)

    def find(self, url: bytes) -> Route | None:
        """The application that a predict URL names."""
        path = url.partition(b"?")[0].removesuffix(b"/")
        if not path.endswith(PREDICT):
            return None
        return self.route(path[1 : -len(PREDICT)].decode("latin-1"))
