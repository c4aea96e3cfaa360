"""uvicorn's protocol, mended where a client could hurt others, or be hurt itself.

* It reads no further while requests wait for their turn, or answers to be read. uvicorn's reads on
  whenever an application asks for its body, so that a client which only sends could have any number
  of requests in memory.
* A request that offers an upgrade keeps its body. httptools drops it, and Java's own client offers
  HTTP/2 with its first request, whatever that is.
* Whoever reads none of its answers is noticed, also while the connection waits to be closed.
"""

import asyncio

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Flow(FlowControl):
    """Pauses and resumes a connection; reads only what can be dealt with."""

    def __init__(self, transport: asyncio.Transport, protocol: "MendedProtocol") -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        if not self._protocol.pipeline and not self.write_paused:
            super().resume_reading()


class MendedProtocol(HttpToolsProtocol):
    """One connection; what it makes of its requests is left to who inherits from it."""

    retold = b""
    """The head of a request that offers an upgrade, without the offer, until it is parsed again."""
    _unread = 0
    _unread_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport, self)

    def feed(self, data: bytes) -> None:
        """Parse what came; calls back with what is found."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                head, self.retold = self.retold, b""
                if not head:
                    return
                data = head + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return

    def declines_upgrade(self) -> bool:
        """Whether this request, whose head is complete, has to be parsed again without its offer.

        The parser stops after such a head, as if there were no body.
        """
        method = self.parser.get_method()
        if not self.parser.should_upgrade() or method == b"CONNECT":
            return False
        kept = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version), *kept, b"", b""]
        self.retold = b"\r\n".join(lines)
        return True

    def is_unread_since(self, now: float) -> float:
        """Since when the client reads none of the answers that wait for it; `now` if it does."""
        unread = self.transport.get_write_buffer_size()
        if not unread or unread != self._unread:
            self._unread, self._unread_since = unread, now
        return self._unread_since
