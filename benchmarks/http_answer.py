"""As much of HTTP/1.1 as a load generator needs: one request's bytes, one response read from bytes.

A response is a status line, headers, and a body by Content-Length, in chunks, or up to the end of
the connection. Trailers and interim responses (1xx) are not expected and not understood.
"""

import re
from functools import lru_cache
from typing import NamedTuple

END_OF_HEAD = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class Head(NamedTuple):
    """What status line and headers say."""

    status: int
    length: int | None
    is_chunked: bool
    closes: bool


class Answer(NamedTuple):
    """One whole response."""

    status: int
    body: bytes
    closes: bool
    """Whether the connection cannot be used again."""


def post(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """The bytes of a POST request over a connection that is kept."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


@lru_cache(maxsize=1024)  # heads repeat: they differ by length, and by the second of their date
def read_head(head: bytes) -> Head:
    """Status line and headers, without the blank line that ends them.

    Raises:
        ValueError: that is not HTTP.
    """
    if not head.startswith(b"HTTP/1."):
        raise ValueError(f"{head[:40]!r} does not begin an HTTP response")
    length = LENGTH.search(head)
    return Head(
        status=int(head[9:12]),
        length=int(length[1]) if length else None,
        is_chunked=CHUNKED.search(head) is not None,
        closes=CLOSE.search(head) is not None or head.startswith(b"HTTP/1.0"),
    )


def read_answer(received: bytes, is_all: bool = False) -> Answer | None:
    """The response that these bytes hold, or None while some are missing.

    `is_all` says that the connection has ended, so that nothing will follow.

    Raises:
        ValueError: that is not HTTP.
    """
    end = received.find(END_OF_HEAD)
    if end < 0:
        return None
    head = read_head(received[:end])
    start = end + len(END_OF_HEAD)
    if head.length is not None:
        body = received[start : start + head.length]
        return Answer(head.status, body, head.closes) if len(body) == head.length else None
    if head.is_chunked:
        chunks = read_chunks(received, start)
        return None if chunks is None else Answer(head.status, chunks, head.closes)
    return Answer(head.status, received[start:], closes=True) if is_all else None


def read_chunks(received: bytes, start: int) -> bytes | None:
    """The chunks that begin there, put together, or None while some are missing."""
    chunks: list[bytes] = []
    while (end := received.find(b"\r\n", start)) >= 0:
        size = int(received[start:end].partition(b";")[0], 16)
        start, end = end + 2, end + 2 + size
        if received[end : end + 2] != b"\r\n":
            return None
        if size == 0:
            return b"".join(chunks)
        chunks.append(received[start:end])
        start = end + 2
    return None
