"""HTTP/1.1 on a connection: the fast path for predictions, and bounds for whatever comes in.

uvicorn's protocol starts an asyncio task and an ASGI application for each request; that alone costs
more than a prediction. This one answers `POST /{app}/predict` straight from the parsed bytes, and
leaves everything else to uvicorn and FastAPI, which declares the same route over the same code. A
request that follows a pending one on its connection is left to them too, so that answers keep their
order.

A client repeats its request line and headers byte for byte. Where a whole request comes in one
piece, which is the rule, and the parser has seen its head before, what it made of it is looked up
instead of parsed again.

It also bounds what a client can take: the size of a body, whatever its framing, the time that one
may take to arrive, and answers that are not read.
"""

import asyncio
import hmac
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from clipper.core.errors import InvalidInput
from clipper.frontend.door import LENGTH, Door, Head
from clipper.frontend.exchange import Exchange, refusal
from clipper.frontend.mended import MendedProtocol
from clipper.frontend.options import Options, read_options
from clipper.frontend.pieces import Piece, Pieces
from clipper.serving.snapshot import Route

log = logging.getLogger(__name__)

LINGER_S = 1.0
"""How long a connection that we end may go on sending what nobody reads."""
KEEP_ALIVE_S = 75.0
MAX_FRAMING_BYTES = 65_536
"""Of a request line with its headers, or of whatever else comes in a row and is no body."""
MAX_HEAD_BYTES = 2048
"""Of a head that is worth knowing by heart."""
MAX_PIPELINE = 1000
"""So many requests may wait behind the one that is in progress."""
RETRY = b"retry-after: 1\r\n"
CLOSE = b"connection: close\r\n"


class Pending:
    """Stands where uvicorn keeps its request in progress while the fast path has one."""

    response_complete = False


PENDING: Any = Pending()
NONE: Any = None


class Connection(MendedProtocol):
    """One client's connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
        door: Door,
    ) -> None:
        super().__init__(config=config, server_state=server_state, app_state={}, _loop=loop)
        self.door = door
        self.reading_since = 0.0
        """When the request that is being read began; 0 between requests."""
        self.idle_since = loop.time()
        self._found: Route | None = None
        self._exchange: Exchange | None = None
        self._content_type: bytes | None = None
        self._body = Pieces()
        self._size = self._announced = self._framing = 0
        self._is_deaf = False
        self._is_in_cycle = False
        """Whether uvicorn has the request that is being read."""
        self._keep_alive = not door.is_draining
        self._chunk = b""
        self._refusal: bytes | None = None
        """What is still to be said when all before it is answered."""

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if self.cycle is None and not self.reading_since:
            end = data.find(b"\r\n\r\n") + 4
            head = self.door.heads.get(data[:end])
            if head is not None and len(data) - end == head.length:
                route = self.door.route(head.app)
                if route is not None:
                    self._predict(route, [data[end:]], head.options)
                    return
        # Only what begins with a request can be a head to remember.
        self._chunk = b"" if self.reading_since else data
        self._framing += len(data)
        self.feed(data)
        if self._framing > MAX_FRAMING_BYTES and self.reading_since and not self._is_deaf:
            cause = f"Headers and the like may have {MAX_FRAMING_BYTES} bytes."
            self._end(431, "Request Header Fields Too Large", cause)

    # What the parser finds, in this order

    def on_message_begin(self) -> None:
        if self._is_deaf:
            return
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._content_type = None
        self._size = self._announced = 0
        self._found = None
        self._is_in_cycle = False
        self.reading_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length" and value.isdigit():
            self._announced = int(value)
        elif name == b"content-type" and self._content_type is None:
            self._content_type = value
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._is_deaf or self.declines_upgrade():
            return
        if self._announced > self.door.max_body_bytes:
            self._refuse_size()
            return
        if len(self.pipeline) >= MAX_PIPELINE:
            self._end(429, "Too Many Requests", f"{MAX_PIPELINE} requests are waiting already.")
            return
        is_free = not self._is_pending() and not self.flow.write_paused
        if is_free and self.parser.get_method() == b"POST":
            self._found = self.door.find(self.url)
        if self._found is None:
            self._leave_to_uvicorn()
        elif self.door.token and not self._has_token():
            self._found = None
            self._leave_to_uvicorn()
        elif self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._is_deaf:
            return
        self._framing = 0
        self._size += len(body)
        if self._size > self.door.max_body_bytes:
            self._refuse_size()
        elif self._found is not None:
            self._body.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_deaf or self.retold:
            return
        self.reading_since = self._framing = 0
        if self._found is None:
            super().on_message_complete()
            return
        keeps_alive = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        self._keep_alive &= keeps_alive
        pieces = self._body.take()
        try:
            options = read_options(self.url.partition(b"?")[2], self._content_type or b"")
        except InvalidInput as error:
            self._respond(400, refusal(error))
            return
        if keeps_alive and self._announced == self._size:
            self._learn(Head(self._found.app.name, options, self._size), pieces[0])
        self._predict(self._found, pieces, options)

    def _learn(self, head: Head, body: Piece) -> None:
        """Know this request's head when it comes again, if it came whole and alone."""
        end = len(self._chunk) - head.length
        if (
            not self.expect_100_continue
            and self._chunk.find(b"\r\n\r\n") + 4 == end <= MAX_HEAD_BYTES
            and self._chunk.endswith(body)
        ):
            self.door.learn(self._chunk[:end], head)

    def _predict(self, route: Route, pieces: Sequence[Piece], options: Options) -> None:
        self.cycle = PENDING
        exchange = self._exchange = Exchange(self._respond, options)
        arrived, has_to_wait = self.door.inbox.arrival()
        if has_to_wait:
            self.door.inbox.add(partial(self._begin, exchange, route, pieces), arrived)
        else:
            self._begin(exchange, route, pieces, arrived)

    def _begin(
        self, exchange: Exchange, route: Route, pieces: Sequence[Piece], arrived: float
    ) -> None:
        if self._exchange is not exchange:  # its client has gone while it waited for its turn
            return
        assert self.door.predictor is not None
        try:
            exchange.begin(self.door.predictor, route, pieces, arrived)
        except Exception:
            log.exception("A query of application %s failed", route.app.name)
            self._withdraw()
            self._end(500, "Internal Server Error", "Its log says what went wrong in the daemon.")
        if self._exchange is not exchange:  # it is answered, or its client has gone
            exchange.cancel()

    def _leave_to_uvicorn(self) -> None:
        """Do what uvicorn's protocol had done by now, had it seen the request's beginning."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()
        self._is_in_cycle = True
        if self.door.is_draining:
            self.cycle.keep_alive = False

    def _has_token(self) -> bool:
        given = [value for name, value in self.headers if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.door.token)

    # Answers

    def _respond(self, status: int, body: bytes) -> None:
        """Answer the fast path's request."""
        self._exchange = None
        if self.cycle is PENDING:
            self.cycle = NONE
        if self.transport.is_closing():
            return
        self._write(status, body, keep_alive=self._keep_alive)
        if not self._keep_alive:
            self._is_deaf = True
            self.transport.close()
        elif self.pipeline:
            self.on_response_complete()
        elif self._refusal is not None:
            self._refuse()
        self.idle_since = self.loop.time()

    def _write(self, status: int, body: bytes, *, keep_alive: bool) -> None:
        if status == 200 and keep_alive:
            self.transport.write(b"%b%d\r\n\r\n%b" % (self.door.ok, len(body), body))
        else:
            self.transport.write(self._format(status, body, keep_alive=keep_alive))

    def _format(self, status: int, body: bytes, *, keep_alive: bool) -> bytes:
        return b"%b%b%b%d\r\n%b%b\r\n%b" % (
            STATUS_LINE[status],
            self.door.date,
            LENGTH,
            len(body),
            RETRY if status in (429, 503) else b"",
            b"" if keep_alive else CLOSE,
            body,
        )

    def on_response_complete(self) -> None:
        is_last = not self.pipeline
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if is_last and self._refusal is not None:
            self._refuse()
        self.idle_since = self.loop.time()

    def _refuse_size(self) -> None:
        limit = self.door.max_body_bytes
        self._end(413, "Content Too Large", f"The body is larger than {limit} bytes.")

    def send_400_response(self, msg: str) -> None:
        self._end(400, "Bad Request", msg)

    def _end(self, status: int, error: str, cause: str) -> None:
        """Refuse a request that cannot be read to its end, in its turn, and listen no more."""
        self._is_deaf = True
        self._body.take()
        self.reading_since = 0.0
        body = msgspec.json.encode({"error": error, "cause": cause})
        self._refusal = self._format(status, body, keep_alive=False)
        if not self._is_in_cycle:
            if not self._is_pending():
                self._refuse()
            return
        if self.cycle.response_started:
            self._refusal = b""  # it has its answer
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.pipeline:
            self.pipeline.popleft()  # it came last, and was not begun
        else:
            self._refuse()

    def _refuse(self) -> None:
        """Say the last word, and close when the client had time to see it."""
        if self._refusal and not self.transport.is_closing():
            self.transport.write(self._refusal)
        self._refusal = None
        self.flow.resume_reading()  # a client that is still sending would not look at it
        self.loop.call_later(LINGER_S, self.transport.close)

    # The client's side, and ours, of an end

    def connection_lost(self, exc: Exception | None) -> None:
        self._withdraw()
        super().connection_lost(exc)
        if not self.connections:
            self.door.emptied.set()

    def _withdraw(self) -> None:
        """Nobody waits for the fast path's request any more."""
        if self._exchange is not None:
            self._exchange.cancel()
            self._exchange = None
        if self.cycle is PENDING:
            self.cycle = NONE

    def pause_writing(self) -> None:
        """The client does not read its answers: take no more of its requests until it does."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.flow.resume_reading()

    def shutdown(self) -> None:
        """Answer what is in progress and what is on its way, then close."""
        self._keep_alive = False
        if self._is_pending() and self.cycle is not PENDING:
            self.cycle.keep_alive = False
        self.loop.call_later(LINGER_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not self.reading_since and not self._is_pending():
            self.transport.close()

    def _is_pending(self) -> bool:
        """Whether a request is in progress, whoever answers it."""
        return self.cycle is not None and not self.cycle.response_complete

    def check(self, now: float) -> None:
        """Close a connection whose client neither sends what it began nor reads what it asked."""
        patience_s = self.door.read_timeout_s
        if now - self.is_unread_since(now) > patience_s:
            self.transport.abort()
        elif self.reading_since:
            if now - self.reading_since > patience_s:
                self._end(408, "Request Timeout", "The request took too long to arrive.")
        elif not self._is_pending() and now - self.idle_since > KEEP_ALIVE_S:
            self.transport.close()
