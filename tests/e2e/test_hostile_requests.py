"""Requests that nobody should send: each is refused at once, in JSON, and hurts nobody else."""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from typing import Any

import pytest

from tests.fakes.clipperd import Clipperd
from tests.fakes.load import Caller

LIMIT = 200_000
READ_TIMEOUT_S = 2.0
AT_ONCE_S = 1.0
INPUT_TYPES = ("integers", "floats", "doubles", "strings", "bytes", "json")


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"max_body_bytes": LIMIT, "read_timeout_s": READ_TIMEOUT_S, "store": "memory://"}


@pytest.fixture(scope="module", autouse=True)
def applications(daemon: Clipperd) -> None:
    """One of each type, which only the default answers."""
    with daemon.connect() as clipper:
        clipper.register_application("others", "json", "0", 1_000_000)
        for name in INPUT_TYPES:
            clipper.register_application(name, name, "0", 1_000_000)


@pytest.fixture(autouse=True)
def nothing_is_counted_and_the_daemon_lives(daemon: Clipperd) -> Iterator[None]:
    yield
    counted = daemon.metrics("clipper_queries_total").items()
    assert not any(count for (name, _), count in counted if name in INPUT_TYPES)
    assert "\nTraceback" not in daemon.log.read_text()


class Wire:
    """One connection on which anything can be sent."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, data: bytes, times: int = 1) -> int:
        """Send it so often, but no more once there is an answer; returns how many bytes went."""
        for sent in range(times):
            if select.select([self.socket], [], [], 0)[0]:
                return sent * len(data)
            self.socket.sendall(data)
        return times * len(data)

    def response(self) -> tuple[int, Any]:
        """The status and the JSON of the next response."""
        with HTTPResponse(self.socket) as response:
            response.begin()
            assert response.headers["content-type"] == "application/json"
            return response.status, json.loads(response.read())

    def is_closed_within(self, seconds: float) -> bool:
        """Whether the other side hangs up."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path.encode("latin-1"), b"Host: 127.0.0.1", *headers]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def ask(daemon: Clipperd, path: str, body: bytes) -> tuple[int, Any]:
    """One request on a connection of its own; nothing may take longer than a moment."""
    began = time.monotonic()
    with Wire(daemon.query_port) as wire:
        wire.send(post(path, body))
        answer = wire.response()
    assert time.monotonic() - began < AT_ONCE_S
    return answer


MALFORMED = {
    "integers": [
        b'{"input": [1.5]}',
        b'{"input": [1.0]}',
        b'{"input": [%d]}' % 2**31,
        b'{"input": [%d]}' % 2**65,
        b'{"input": [%b]}' % (b"9" * 5000),
        b'{"input": [[1], [2.5]]}',
        b'{"input": [true]}',
    ],
    "floats": [
        b'{"input": [NaN]}',
        b'{"input": [-Infinity]}',
        b'{"input": [1e999]}',
        b'{"input": [1e39]}',
        b'{"input": [%b]}' % (b"9" * 5000),
        b'{"input": [[1, 2], [3]]}',
        b'{"input": [[1, 2], 3]}',
        b'{"input": [[[1]], [[2, 3]]]}',
        b'{"input": %b1%b}' % (b"[" * 40, b"]" * 40),
        b'{"input": [null]}',
        b'{"input": ["1"]}',
        b'{"input": null}',
        b'{"input": 1}',
        b'{"input": {}}',
        b'{"input_batch": [1]}',
        b'{"input_batch": [[1], ["x"]]}',
        b'{"input_batch": null}',
        b'{"inputs": [1]}',
        b'{"input": [1]} {}',
        b'{"input": [1]',
        b"{}",
        b"[]",
        b"null",
        b'"x"',
        b"",
        b'\xef\xbb\xbf{"input": [1]}',
        b'{"input": [1], "context": "\xff"}',
        b"\xff\xfe",
        b"[" * 150_000,
        b'{"input": ' + b"[" * 150_000,
        b'{"input": %b%b}' % (b"[" * 90_000, b"]" * 90_000),
        b'{"a":' * 30_000,
    ],
    "doubles": [b'{"input": [1e400]}', b'{"input": [[1e400]]}', b'{"input": [%b]}' % (b"9" * 400)],
    "strings": [
        b'{"input": ["a"]}',
        b'{"input": 1}',
        b'{"input": "\\ud800"}',
        b'{"input": "\xc3"}',
    ],
    "bytes": [b'{"input": "!"}', b'{"input": "YQ"}', b'{"input": "\xc3\xa9"}', b'{"input": [1]}'],
    "json": [b'{"input": NaN}', b'{"input": %b%b}' % (b"[" * 90_000, b"]" * 90_000)],
}


@pytest.mark.parametrize("way", ["fast", "framework"])
@pytest.mark.parametrize(
    ("name", "body"),
    [(name, body) for name, bodies in MALFORMED.items() for body in bodies],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_no_input_of_the_application_is_refused(
    daemon: Clipperd, name: str, body: bytes, way: str
) -> None:
    path = f"/{name}/predict" if way == "fast" else f"/%{ord(name[0]):x}{name[1:]}/predict"
    status, answer = ask(daemon, path, body)
    assert (status, answer["error"]) == (400, "Json error")
    assert 0 < len(answer["cause"]) < 500


@pytest.mark.parametrize("name", ["integers", "floats", "doubles", "json"])
@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999", b"9" * 5000])
def test_a_number_that_is_none_is_refused_with_the_field(
    daemon: Clipperd, name: str, number: bytes
) -> None:
    for body in (b'{"input": [1, %b]}', b'{"input": [[1], [%b]]}'):
        status, answer = ask(daemon, f"/{name}/predict", body % number)
        assert status == 400
        assert "input" in answer["cause"]


@pytest.mark.parametrize("slo_ms", [b"0", b"-1", b'"5"', b"true", b"1e999", b"[]"])
def test_an_objective_that_cannot_be_is_refused(daemon: Clipperd, slo_ms: bytes) -> None:
    status, answer = ask(daemon, "/floats/predict", b'{"input": [1], "slo_ms": %b}' % slo_ms)
    assert status == 400
    assert "slo_ms" in answer["cause"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//floats/predict",
        "/floats//predict",
        "/floats/predict//",
        "/%2e%2e/predict",
        "/%252e/predict",
        "/../floats/predict",
        "/a%00b/predict",
        "/a\x00b/predict",
        "/a/b/predict",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd/predict",
        f"/{'x' * 300}/predict",
        "//predict",
        "/predict",
        "/\xff/predict",
        "/floats/predict;x",
        "/floats",
        "/nobody/predict",
        "/nobody/feedback",
        "/health/live",
    ],
    ids=ascii,
)
def test_what_is_no_route_is_refused(daemon: Clipperd, path: str) -> None:
    status, answer = ask(daemon, path, b'{"input": [1]}')
    assert status in (400, 404, 405)
    assert answer.keys() == {"error", "cause"}
    assert len(answer["cause"]) < 500


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"]
)
def test_another_method_is_refused(daemon: Clipperd, method: str) -> None:
    with Wire(daemon.query_port) as wire:
        wire.send(b"%b /floats/predict HTTP/1.1\r\nHost: x\r\n\r\n" % method.encode())
        status, _ = wire.response()
    assert status == (400 if method == "NONSENSE" else 405)


NO_HTTP = [
    b"HELLO\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    post("/floats/predict", b"").replace(b"Content-Length: 0", b"Content-Length: -5"),
    post("/floats/predict", b"").replace(b"Content-Length: 0", b"Content-Length: 1e3"),
    post("/floats/predict", b"{}", b"Content-Length: 3"),
    post("/floats/predict", b"0\r\n\r\n", b"Transfer-Encoding: chunked"),
    post("/floats/predict", b"{}", b"Transfer-Encoding: gzip, identity"),
    post("/floats/predict", b"{}", b"A\x00B: x"),
]


def test_what_is_no_http_is_refused_and_the_connection_closed(daemon: Clipperd) -> None:
    with ExitStack() as stack:
        wires = {text: stack.enter_context(Wire(daemon.query_port)) for text in NO_HTTP}
        for text, wire in wires.items():
            wire.send(text)
        for text, wire in wires.items():
            status, _ = wire.response()
            assert status == 400, text
        assert all(wire.is_closed_within(READ_TIMEOUT_S + 3) for wire in wires.values())


CHUNKED = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("path", [b"/floats/predict", b"/floats/feedback"])
@pytest.mark.parametrize(
    ("opening", "piece", "times"),
    [
        (b"", b"1\r\n[\r\n", 2 * LIMIT),
        (b"", b"10000\r\n" + b" " * 65536 + b"\r\n", 10_000),
        (b"40000000\r\n", b" " * 65536, 10_000),
    ],
    ids=["chunks of one byte", "endless chunks", "one endless chunk"],
)
def test_a_body_over_the_limit_is_refused_while_it_comes(
    daemon: Clipperd, path: bytes, opening: bytes, piece: bytes, times: int
) -> None:
    memory = daemon.peak_memory_mb()
    block = piece * max(1, 65536 // len(piece))
    with Wire(daemon.query_port) as wire:
        wire.send(CHUNKED % path + opening)
        taken = wire.send(block, times * len(piece) // len(block))
        status, answer = wire.response()
    assert (status, answer["error"]) == (413, "Content Too Large")
    assert str(LIMIT) in answer["cause"]
    assert taken < 200 << 20
    assert daemon.peak_memory_mb() - memory < 20


@pytest.mark.parametrize("listener", ["query", "admin"])
def test_a_body_that_is_announced_over_the_limit_is_not_even_read(
    daemon: Clipperd, listener: str
) -> None:
    port = daemon.query_port if listener == "query" else daemon.admin_port
    with Wire(port) as wire:
        wire.send(post("/floats/predict", b"").replace(b": 0", b": %d" % (LIMIT + 1)))
        status, _ = wire.response()
        assert status == 413
        assert wire.is_closed_within(3)


@pytest.mark.parametrize(
    ("opening", "piece"),
    [
        (b"POST /floats/predict HTTP/1.1\r\n", b"A: " + b"x" * 65536 + b"\r\n"),
        (b"POST /floats/predict HTTP/1.1\r\nA: ", b"x" * 65536),
        (b"POST /", b"x" * 65536),
        (CHUNKED % b"/floats/predict" + b"0\r\n", b"A: " + b"x" * 65536 + b"\r\n"),
        (CHUNKED % b"/floats/predict" + b"1;", b"x" * 65536),
    ],
    ids=["headers", "a header", "a path", "trailers", "a chunk extension"],
)
@pytest.mark.parametrize("listener", ["query", "admin"])
def test_endless_headers_and_the_like_are_refused_while_they_come(
    daemon: Clipperd, listener: str, opening: bytes, piece: bytes
) -> None:
    memory = daemon.peak_memory_mb()
    with Wire(daemon.query_port if listener == "query" else daemon.admin_port) as wire:
        wire.send(opening)
        wire.send(piece, 10_000)
        status, _ = wire.response()
    assert 400 <= status < 500
    assert daemon.peak_memory_mb() - memory < 20


BEGINNINGS = [
    b"POST /floats/predict HTTP/1.1\r\nHost: x",
    post("/floats/predict", b"").replace(b": 0", b": 5000"),
    CHUNKED % b"/floats/predict" + b"FFF\r\n",
]


def test_who_sends_by_the_drop_is_hung_up_on_and_holds_nobody_up(daemon: Clipperd) -> None:
    slowest_s = 0.0
    with ExitStack() as stack:
        caller = stack.enter_context(closing(Caller(daemon.query_port)))
        wires = [stack.enter_context(Wire(daemon.query_port)) for _ in BEGINNINGS]
        for wire, beginning in zip(wires, BEGINNINGS, strict=True):
            wire.send(beginning)
        began, sending = time.monotonic(), wires
        while sending := [wire for wire in sending if wire.send(b"x")]:
            slowest_s = max(slowest_s, caller.ask("others", 1).took_s)
            time.sleep(0.05)
        assert [wire.response()[0] for wire in wires] == [408] * len(wires)
        assert all(wire.is_closed_within(3) for wire in wires)
    assert READ_TIMEOUT_S <= time.monotonic() - began < READ_TIMEOUT_S + 4
    assert slowest_s < 0.3


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x" * 300, "a b", "ä", "a\0b", ".hidden"])
def test_a_name_that_is_none_is_refused(daemon: Clipperd, name: str) -> None:
    body = {"name": name, "input_type": "json", "default_output": "", "latency_slo_micros": 1000}
    for path in ("/admin/add_app", "/api/v1/applications"):
        response = daemon.call("POST", path, json=body)
        assert response.status_code == 400
        assert len(response.text) < 500
