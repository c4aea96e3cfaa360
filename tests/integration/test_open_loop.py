"""The load generator against servers that stall, dribble, refuse and hang up."""

import socket
import threading

import numpy as np
import pytest
from http_answer import post
from open_loop import CLIPPER_MARKER, Target, run
from outcomes import Outcomes

from tests.fakes.scripted_server import Script, ScriptedServer, answer, scripted_server

PATIENCE_S = 60.0
"""More than the busiest machine needs."""


def load(
    server: ScriptedServer,
    at_s: list[float],
    connections: int = 64,
    patience_s: float = PATIENCE_S,
) -> Outcomes:
    """Ask at these instants, each time with another body."""
    requests = [post("/", b"%d" % number) for number in range(len(at_s))]
    target = Target("127.0.0.1", server.port, requests, CLIPPER_MARKER)
    return run([target], np.array(at_s), connections=connections, patience_s=patience_s)


def say(*pieces: bytes) -> Script:
    """Answer with these bytes, in as many pieces."""

    def script(connection: socket.socket, body: bytes) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            threading.Event().wait(0.01)  # so that the pieces arrive as such

    return script


def test_requests_leave_at_their_instants_whatever_became_of_earlier_ones() -> None:
    at_s = np.arange(0, 0.5, 0.01)
    with scripted_server(lambda connection, body: None) as silent:
        outcomes = load(silent, at_s.tolist(), patience_s=1.0)
    assert sorted(int(body) for body in silent.bodies) == list(range(50))
    assert (outcomes.lag_s >= 0).all()
    assert outcomes.summary(0.02).errors == 50


def test_waiting_for_a_connection_counts_from_the_intended_instant() -> None:
    stalls = threading.Event()

    def stall_once(connection: socket.socket, body: bytes) -> None:
        if not stalls.is_set():
            stalls.set()
            threading.Event().wait(0.5)
        connection.sendall(answer())

    with scripted_server(stall_once) as server:
        outcomes = load(server, [0.0, 0.1, 0.2, 0.3], connections=1)
    assert (outcomes.latency_s >= [0.5, 0.4, 0.3, 0.2]).all()
    assert np.isnan(outcomes.lag_s[1:]).all()
    assert server.connections == 1


def test_connections_are_kept_and_opened_as_needed() -> None:
    together = threading.Barrier(3)

    def answer_three_at_a_time(connection: socket.socket, body: bytes) -> None:
        together.wait(PATIENCE_S)
        connection.sendall(answer())

    with scripted_server(answer_three_at_a_time) as server:
        outcomes = load(server, [0.0] * 9, connections=3)
    assert outcomes.summary(PATIENCE_S).in_time == 9
    assert server.connections == 3


@pytest.mark.parametrize(
    "pieces",
    [
        (answer()[:9], answer()[9:-4], answer()[-4:]),
        (
            b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n",
            b'{"defaul\r\n9\r\nt":false}',
            b"\r\n0\r\n\r\n",
        ),
    ],
)
def test_an_answer_may_come_in_pieces(pieces: tuple[bytes, ...]) -> None:
    with scripted_server(say(*pieces)) as server:
        summary = load(server, [0.0, 0.1]).summary(PATIENCE_S)
    assert (summary.in_time, summary.errors) == (2, 0)


def test_an_answer_that_is_not_the_models_own_is_a_default() -> None:
    with scripted_server(say(answer(b'{"default":true}'))) as server:
        summary = load(server, [0.0, 0.01]).summary(PATIENCE_S)
    assert (summary.in_time, summary.defaults) == (0, 2)


def test_refusals_and_failures_are_told_apart() -> None:
    statuses = {b"0": 429, b"1": 503, b"2": 500, b"3": 200}

    def script(connection: socket.socket, body: bytes) -> None:
        connection.sendall(answer(status=statuses[body]))

    with scripted_server(script) as server:
        outcomes = load(server, [0.0, 0.1, 0.2, 0.3])
    summary = outcomes.summary(PATIENCE_S)
    assert outcomes.status.tolist() == [429, 503, 500, 200]
    assert (summary.refused, summary.errors, summary.in_time) == (2, 1, 1)


def test_a_connection_that_breaks_fails_its_request_and_no_other() -> None:
    def hang_up_on_the_first(connection: socket.socket, body: bytes) -> None:
        if body == b"0":
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(answer())

    with scripted_server(hang_up_on_the_first) as server:
        outcomes = load(server, [0.0, 0.0, 0.0], connections=1)
    assert outcomes.status.tolist() == [0, 200, 200]
    assert server.connections == 2


def test_a_server_that_closes_after_each_answer_is_connected_to_anew() -> None:
    def once(connection: socket.socket, body: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n" + b'{"default":false}')
        connection.shutdown(socket.SHUT_RDWR)

    with scripted_server(once) as server:
        summary = load(server, [0.0, 0.1, 0.2], connections=1).summary(PATIENCE_S)
    assert summary.in_time == server.connections == 3


def test_a_target_that_is_not_there_is_all_errors() -> None:
    with scripted_server(say(answer())) as server:
        pass
    at_s = [0.0] * 3000
    assert load(server, at_s, connections=1).summary(PATIENCE_S).errors == 3000


def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 4096
    with scripted_server(say(answer())) as server:
        target = Target("127.0.0.1", server.port, [post("/", body)], CLIPPER_MARKER)
        summary = run([target], np.zeros(3), connections=2, patience_s=PATIENCE_S).summary(
            PATIENCE_S
        )
    assert summary.in_time == 3
    assert server.bodies == [body] * 3


def test_two_targets_are_asked_in_one_run_each_with_its_own_requests() -> None:
    def echo(connection: socket.socket, body: bytes) -> None:
        connection.sendall(answer(body))

    with scripted_server(echo) as first, scripted_server(echo) as second:
        targets = [
            Target("127.0.0.1", first.port, [post("/", b"a")], b"a"),
            Target("127.0.0.1", second.port, [post("/", b"b"), post("/", b"c")], b"c"),
        ]
        which = np.array([0, 1, 1, 1, 1], np.uint8)
        outcomes = run(targets, np.linspace(0, 0.1, 5), which, connections=2, patience_s=PATIENCE_S)
    assert outcomes.summary(PATIENCE_S, 0).in_time == 1
    assert outcomes.summary(PATIENCE_S, 1).in_time == 2
    assert outcomes.summary(PATIENCE_S, 1).defaults == 2
    assert first.bodies == [b"a"]
    assert sorted(second.bodies) == [b"b", b"b", b"c", b"c"]
