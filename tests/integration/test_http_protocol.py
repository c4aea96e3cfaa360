"""HTTP as clients speak it, well and badly, on real sockets: every answer in its turn."""

import asyncio
import contextlib
import json

import pytest

from clipper.core.outputs import output_of
from clipper.core.tasks import Tasks
from clipper.frontend.protocol import MAX_FRAMING_BYTES, MAX_PIPELINE
from tests.fakes.listening import (
    MAX_BODY,
    PATIENCE_S,
    SLOW_S,
    Response,
    chunk,
    head,
    predict,
    serving,
)
from tests.fakes.predicting import application

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


@pytest.fixture(autouse=True)
def quick_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are looked at more often than once a second."""
    monkeypatch.setattr("clipper.frontend.listener.TICK_S", 0.02)
    monkeypatch.setattr("clipper.frontend.protocol.LINGER_S", 0.1)


async def test_a_prediction_over_the_wire() -> None:
    async with serving() as served:
        wire = await served.connect()
        answer = await wire.ask(predict("fast", "7"))
        assert (answer.version, answer.status, answer.json["output"]) == ("HTTP/1.1", 200, 7)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["date"].endswith("GMT")
        assert "connection" not in answer.headers


async def test_a_connection_serves_many_requests() -> None:
    async with serving() as served:
        wire = await served.connect()
        for number in range(50):
            app = "slow" if number % 25 == 7 else "fast"
            assert (await wire.ask(predict(app, str(number)))).json["output"] == number
        metrics = await wire.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert metrics.status == 200
        assert (await wire.ask(predict("fast", "again"))).json["output"] == "again"


async def test_a_request_may_come_byte_by_byte() -> None:
    async with serving() as served:
        wire = await served.connect()
        for _ in range(2):
            for byte in predict("fast", "7"):
                await wire.send(bytes([byte]))
                await asyncio.sleep(0)
            assert (await wire.receive()).json["output"] == 7


async def test_a_request_may_be_split_anywhere_and_known_heads_make_no_difference() -> None:
    async with serving() as served:
        request = predict("fast", "7")
        for cut in range(1, len(request), 7):
            wire = await served.connect()
            await wire.ask(request)
            await wire.send(request[:cut])
            await asyncio.sleep(0.002)
            assert (await wire.ask(request[cut:])).json["output"] == 7
            assert (await wire.ask(request)).json["output"] == 7
            wire.abort()


async def test_a_part_of_a_head_never_passes_for_a_whole_one() -> None:
    async with serving("s3cret") as served:
        body = b'{"input": "7"}'
        rest = b"Content-Length: 14\r\n\r\n"
        begin = b"POST /fast/predict HTTP/1.1\r\nAuthorization: Bearer s3cret\r\n"
        wire = await served.connect()
        for _ in range(2):
            await wire.send(begin)
            await asyncio.sleep(0.05)
            assert (await wire.ask(rest + body)).status == 200
        thief = await served.connect()
        assert (await thief.ask(rest + body)).status == 400
        chunked = begin + b"Transfer-Encoding: chunked\r\n\r\n"
        await wire.send(chunked)
        await asyncio.sleep(0.05)
        assert (await wire.ask(b"0\r\n\r\n")).status == 400  # an empty body is no query
        thief = await served.connect()
        assert (await thief.ask(b"0\r\n\r\n")).json["error"] == "Bad Request"


async def test_the_same_head_finds_what_is_served_now() -> None:
    async with serving() as served:
        wire = await served.connect()
        request = predict("text", "7")
        for _ in range(3):
            assert (await wire.ask(request)).json["output"] == 7
        await served.world.services.catalogue.delete_application("text")
        assert (await wire.ask(request)).status == 404
        assert (await wire.ask(request)).status == 404
        await served.world.services.catalogue.add_application(application("text"))
        answer = await wire.ask(request)
        assert answer.json["default_explanation"] == "No connected models found for query"


@pytest.mark.parametrize(
    "apps",
    [
        ["fast", "fast"],
        ["fast", "slow"],
        ["slow", "fast"],
        ["slow", "slow"],
        ["slow", "fast", "slow", "fast", "fast"],
    ],
)
async def test_pipelined_requests_are_answered_in_their_order(apps: list[str]) -> None:
    async with serving() as served:
        for _ in range(2):
            wire = await served.connect()
            await wire.send(b"".join(predict(app, str(i)) for i, app in enumerate(apps)))
            outputs = [(await wire.receive()).json["output"] for _ in apps]
            assert outputs == list(range(len(apps)))
            assert (await wire.ask(predict("fast", "last"))).json["output"] == "last"


async def test_other_routes_keep_their_place_among_pipelined_predictions() -> None:
    async with serving() as served:
        wire = await served.connect()
        live = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        await wire.send(predict("slow", "1") + live + predict("fast", "2") + live)
        answers = [(await wire.receive()).json for _ in range(4)]
        assert [answer.get("output") for answer in answers] == [1, None, 2, None]
        assert answers[1] == answers[3] == {"live": True}


async def test_a_hundred_pipelined_requests_in_pieces_of_any_size() -> None:
    async with serving() as served:
        wire = await served.connect()
        stream = b"".join(predict("fast", str(number)) for number in range(100))
        sending = Tasks()

        async def send() -> None:
            for start in range(0, len(stream), 97):
                await wire.send(stream[start : start + 97])

        sending.spawn("send", send())
        assert [(await wire.receive()).json["output"] for _ in range(100)] == list(range(100))


async def test_a_body_over_the_limit_is_refused_before_it_is_sent() -> None:
    async with serving() as served:
        wire = await served.connect()
        await wire.send(head("fast", f"Content-Length: {MAX_BODY + 1}"))
        answer = await wire.receive()
        assert (answer.status, answer.closes) == (413, True)
        assert answer.json == {
            "error": "Content Too Large",
            "cause": f"The body is larger than {MAX_BODY} bytes.",
        }
        assert await wire.ends()


@pytest.mark.parametrize("path", ["/fast/predict", "/fast/feedback", "/nowhere"])
async def test_a_body_over_the_limit_is_refused_while_it_is_read(path: str) -> None:
    async with serving() as served:
        wire = await served.connect()
        request = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await wire.send(request.encode())
        await asyncio.sleep(0.05)
        for _ in range(MAX_BODY // 1000 + 2):
            await wire.send(chunk(b" " * 1000))
        answer = await wire.receive()
        assert answer.status == (404 if path == "/nowhere" else 413)
        assert await wire.ends(), "one request, one answer"


async def test_a_body_at_the_limit_is_taken() -> None:
    async with serving() as served:
        body = json.dumps({"input": "x"}).encode().ljust(MAX_BODY)
        wire = await served.connect()
        answer = await wire.ask(head("fast", f"Content-Length: {MAX_BODY}") + body)
        assert answer.json["output"] == "x"
        await wire.send(head("fast", "Transfer-Encoding: chunked"))
        for start in range(0, MAX_BODY, 100):
            await wire.send(chunk(body[start : start + 100]))
        assert (await wire.ask(b"0\r\n\r\n")).json["output"] == "x"


async def test_a_body_may_come_in_chunks_of_one_byte() -> None:
    async with serving() as served:
        wire = await served.connect()
        body = json.dumps({"input": "x" * 3000}).encode()
        chunks = b"".join(chunk(bytes([byte])) for byte in body) + b"0\r\n\r\n"
        answer = await wire.ask(head("fast", "Transfer-Encoding: chunked") + chunks)
        assert answer.json["output"] == "x" * 3000
        assert (await wire.ask(predict("fast", "7"))).json["output"] == 7


async def test_endless_chunks_of_one_byte_are_refused() -> None:
    async with serving() as served:
        wire = await served.connect()
        await wire.send(head("fast", "Transfer-Encoding: chunked"))
        await wire.send(chunk(b" ") * (MAX_BODY + 1))
        assert (await wire.receive()).status == 413
        assert await wire.ends()


@pytest.mark.parametrize(
    "flood",
    [
        b"X: y\r\n" * MAX_FRAMING_BYTES,
        b"X: " + b"y" * MAX_FRAMING_BYTES * 8,
        b"Transfer-Encoding: chunked\r\n\r\n1;" + b"y" * MAX_FRAMING_BYTES * 8,
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * MAX_FRAMING_BYTES,
    ],
    ids=["headers", "one header", "chunk extension", "trailers"],
)
async def test_headers_without_end_are_refused(flood: bytes) -> None:
    async with serving() as served:
        wire = await served.connect()
        sending = Tasks()
        sending.spawn("flood", wire.send(b"POST /fast/predict HTTP/1.1\r\n" + flood))
        assert (await wire.receive()).status in (400, 431)
        await sending.cancel()
        assert served.outcomes("fast") == {}


async def test_a_head_that_trickles_in_is_cut_off() -> None:
    async with serving(read_timeout_s=0.2) as served:
        wire = await served.connect()
        loop = asyncio.get_running_loop()
        started = loop.time()
        tasks = Tasks()

        async def trickle() -> None:
            for byte in head("fast", "X: " + "y" * 1000):
                await wire.send(bytes([byte]))
                await asyncio.sleep(0.01)

        tasks.spawn("trickle", trickle())
        answer = await wire.receive()
        assert (answer.status, answer.closes) == (408, True)
        assert answer.json["error"] == "Request Timeout"
        assert 0.2 <= loop.time() - started < 5
        assert await wire.ends(), "it is told once"
        await tasks.cancel()


async def test_a_body_that_trickles_in_is_cut_off_and_hurts_nobody_else() -> None:
    async with serving(read_timeout_s=0.2) as served:
        wire, other = await served.connect(), await served.connect()
        await wire.send(head("fast", "Content-Length: 100"))
        tasks = Tasks()

        async def trickle() -> None:
            for _ in range(99):
                await wire.send(b" ")
                await asyncio.sleep(0.01)

        tasks.spawn("trickle", trickle())
        for number in range(20):
            assert (await other.ask(predict("fast", str(number)))).json["output"] == number
        assert (await wire.receive()).status == 408
        assert await wire.ends()
        await tasks.cancel()


async def test_a_connection_that_says_nothing_is_closed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clipper.frontend.protocol.KEEP_ALIVE_S", 0.2)
    async with serving() as served:
        silent, used = await served.connect(), await served.connect()
        await used.ask(predict("fast", "7"))
        assert await silent.ends()
        assert await used.ends()


async def test_a_slow_answer_is_no_idle_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipper.frontend.protocol.KEEP_ALIVE_S", SLOW_S / 4)
    async with serving(read_timeout_s=SLOW_S / 4) as served:
        wire = await served.connect()
        assert (await wire.ask(predict("slow", "7"))).json["output"] == 7


async def test_a_client_that_asks_whether_to_go_on_is_told_to() -> None:
    async with serving() as served:
        wire = await served.connect()
        body = b'{"input": "7"}'
        await wire.send(head("fast", f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert (await wire.receive()).status == 100
        assert (await wire.ask(body)).json["output"] == 7
        await wire.send(head("fast", f"Content-Length: {MAX_BODY + 1}", "Expect: 100-continue"))
        assert (await wire.receive()).status == 413


async def test_a_client_that_wants_to_close_is_answered_and_closed() -> None:
    async with serving() as served:
        for app in ("fast", "slow"):
            wire = await served.connect()
            answer = await wire.ask(predict(app, "7", "Connection: close"))
            assert (answer.json["output"], answer.closes) == (7, True)
            assert await wire.ends()


async def test_what_follows_a_request_that_closes_is_not_answered() -> None:
    async with serving() as served:
        wire = await served.connect()
        await wire.send(predict("slow", "1", "Connection: close") + predict("slow", "2"))
        assert (await wire.receive()).json["output"] == 1
        assert await wire.ends()


@pytest.mark.parametrize("headers", [(), ("Connection: keep-alive",)])
async def test_a_client_of_http_1_0_is_answered_and_closed(headers: tuple[str, ...]) -> None:
    async with serving() as served:
        for _ in range(2):
            wire = await served.connect()
            answer = await wire.ask(predict("fast", "7", *headers, version="1.0"))
            assert (answer.json["output"], answer.closes) == (7, True)
            assert await wire.ends()


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "x"])
async def test_an_upgrade_that_nobody_takes_is_ignored_and_the_body_is_not(upgrade: str) -> None:
    async with serving() as served:
        offer = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AA")
        for app in ("fast", "slow"):
            request = predict(app, "7", *offer)
            wire = await served.connect()
            await wire.send(request + request)
            for _ in range(2):
                assert (await wire.receive()).json["output"] == 7
            for cut in (40, len(request) - 5):
                await wire.send(request[:cut])
                await asyncio.sleep(0.02)
                assert (await wire.ask(request[cut:])).json["output"] == 7
        await wire.send(head("fast", "Transfer-Encoding: chunked", *offer))
        assert (await wire.ask(chunk(b'{"input": "7"}') + b"0\r\n\r\n")).json["output"] == 7
        metrics = b"GET /metrics HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        assert (await wire.ask(metrics)).status == 200


async def test_nobody_is_connected_to_anybody_else() -> None:
    async with serving() as served:
        wire = await served.connect()
        answer = await wire.ask(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert answer.status == 400
        assert await wire.ends()


async def test_a_client_that_leaves_withdraws_its_query() -> None:
    async with serving() as served:
        wire, other = await served.connect(), await served.connect()
        await wire.send(predict("slow", "1"))
        await served.until(lambda: served.world.services.predictor.active == 1)
        wire.abort()
        await served.until(lambda: served.world.services.predictor.active == 0)
        assert served.outcomes("slow") == {"cancelled": 1}
        assert (await other.ask(predict("slow", "2"))).json["output"] == 2


async def test_a_client_that_leaves_in_a_batch_does_not_hurt_its_neighbours() -> None:
    async with serving() as served:
        busy = await served.connect()
        await busy.send(predict("slow", "0"))
        await asyncio.sleep(SLOW_S / 3)
        wires = [await served.connect() for _ in range(4)]
        for number, wire in enumerate(wires):
            await wire.send(predict("slow", str(number + 1)))
        await served.until(lambda: served.world.services.predictor.active == 5)
        wires[1].abort()
        for number in (0, 2, 3):
            assert (await wires[number].receive()).json["output"] == number + 1
        await served.until(lambda: served.world.services.predictor.active == 0)
        assert served.outcomes("slow") == {"answered": 4, "cancelled": 1}


async def test_a_client_that_leaves_amid_its_request_asks_nothing() -> None:
    async with serving() as served:
        for data in (b"POST /fa", head("fast", "Content-Length: 100"), predict("fast", "7")[:-1]):
            wire = await served.connect()
            await wire.send(data)
            await asyncio.sleep(0.02)
            wire.abort()
        await served.until(lambda: served.open_connections == 0)
        assert served.outcomes("fast") == {}


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
        b"POST /fast/predict\r\n\r\n",
        b"POST /fast/predict HTTP/9.9\r\n\r\n",
        b"POST /fast/predict HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /fast/predict HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /fast/predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /fast/predict HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /fast/predict HTTP/1.1\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
        b"POST /fast/predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST /fast/predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /\xff/predict HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".replace(b"/ ", b"/\x00 "),
    ],
    ids=range(13),
)
async def test_garbage_is_refused_in_json(garbage: bytes) -> None:
    async with serving() as served:
        wire = await served.connect()
        answer = await wire.ask(garbage)
        assert (answer.status, answer.closes) == (400, True)
        assert set(answer.json) == {"error", "cause"}
        assert await wire.ends()
        assert (await (await served.connect()).ask(predict("fast", "7"))).json["output"] == 7


@pytest.mark.parametrize(
    ("after", "status"),
    [(b"nonsense\r\n\r\n", 400), (head("fast", f"Content-Length: {MAX_BODY + 1}"), 413)],
    ids=["garbage", "too large"],
)
@pytest.mark.parametrize("path", ["fast path", "uvicorn"])
async def test_what_is_refused_waits_for_the_answers_before_it(
    after: bytes, status: int, path: str
) -> None:
    async with serving() as served:
        wire = await served.connect()
        requests = [predict("slow", "1")] if path == "fast path" else [predict("slow", "1")] * 2
        await wire.send(b"".join(requests) + after)
        for _ in requests:
            assert (await wire.receive()).json["output"] == 1
        answer = await wire.receive()
        assert (answer.status, answer.closes) == (status, True)
        assert await wire.ends()


@pytest.mark.parametrize("given", ["", "Bearer wrong", "Basic s3cret", "Bearer s3cret, x"])
async def test_a_wrong_token_opens_nothing(given: str) -> None:
    async with serving("s3cret") as served:
        wire = await served.connect()
        headers = (f"Authorization: {given}",) if given else ()
        for _ in range(2):
            answer = await wire.ask(predict("fast", "7", *headers))
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert served.outcomes("fast") == {}


async def test_the_right_token_opens_and_two_of_them_do_not() -> None:
    async with serving("s3cret") as served:
        wire = await served.connect()
        right = "Authorization: Bearer s3cret"
        for _ in range(2):
            assert (await wire.ask(predict("fast", "7", right))).status == 200
        wrong = "Authorization: Bearer wrong"
        assert (await wire.ask(predict("fast", "7", right, wrong))).status == 401
        assert (await wire.ask(predict("fast", "7"))).status == 401


async def test_answers_that_nobody_reads_do_not_pile_up() -> None:
    async with serving() as served:
        wire = await served.connect()
        await wire.ask(predict("text", "x" * 9000))
        await served.until(lambda: served.outcomes("text") == {"answered": 1})
        wire.stop_reading()
        tasks = Tasks()
        request = predict("text", "x" * 9000)
        tasks.spawn("send", wire.send(request * 3000))
        await asyncio.sleep(1.0)
        taken = served.outcomes("text")["answered"]
        await asyncio.sleep(0.3)
        assert served.outcomes("text")["answered"] == taken, "it waits for the client"
        assert taken < 2500
        (connection,) = served.listener.connections
        assert connection.transport.get_write_buffer_size() < 5_000_000
        await tasks.cancel()


async def test_large_answers_to_small_requests_do_not_pile_up_either() -> None:
    async with serving() as served:
        large = output_of("x" * 100_000)
        served.world.behaviour("text:1").answer = lambda _: large
        wire = await served.connect()
        await wire.ask(predict("text", "7"))
        wire.stop_reading()
        tasks = Tasks()
        tasks.spawn("send", wire.send(predict("text", "7") * 5000))
        await asyncio.sleep(0.5)
        (connection,) = served.listener.connections
        assert connection.transport.get_write_buffer_size() < 1_000_000
        await tasks.cancel()


async def test_who_never_reads_is_let_go() -> None:
    async with serving(read_timeout_s=0.3) as served:
        wire = await served.connect()
        wire.stop_reading()
        tasks = Tasks()
        tasks.spawn("send", wire.send(predict("text", "x" * 9000) * 3000))
        await served.until(lambda: served.open_connections == 1)
        await served.until(lambda: served.open_connections == 0)
        await tasks.cancel()


async def test_who_reads_late_gets_everything_all_the_same() -> None:
    async with serving() as served:
        wire = await served.connect()
        tasks = Tasks()
        wire.stop_reading()
        sending = tasks.spawn("send", wire.send(predict("text", "x" * 9000) * 500))
        await asyncio.sleep(0.5)
        wire.read_on()
        for _ in range(500):
            assert (await wire.receive()).json["output"] == "x" * 9000
        await sending


async def test_an_orderly_end_answers_what_is_in_flight_and_closes_what_is_idle() -> None:
    async with serving() as served:
        busy, idle, used = [await served.connect() for _ in range(3)]
        await used.ask(predict("fast", "7"))
        await busy.send(predict("slow", "1"))
        await served.until(lambda: served.world.services.predictor.active == 1)
        served.listener.refuse()
        with pytest.raises(ConnectionRefusedError):
            await served.connect()
        answer = await busy.receive()
        assert (answer.json["output"], answer.closes) == (1, True)
        for wire in (busy, idle, used):
            assert await wire.ends()
        async with asyncio.timeout(PATIENCE_S):
            await served.listener.drain()


async def test_what_is_on_its_way_at_the_end_is_answered() -> None:
    async with serving() as served:
        idle, begun, other = [await served.connect() for _ in range(3)]
        request = predict("fast", "7")
        await idle.ask(request)
        await begun.send(request[:20])
        await asyncio.sleep(0.05)
        served.listener.refuse()
        answer = await idle.ask(request)  # its client could not know yet
        assert (answer.json["output"], answer.closes) == (7, True)
        metrics = await other.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (metrics.status, metrics.closes) == (200, True)
        await asyncio.sleep(0.4)
        answer = await begun.ask(request[20:])
        assert (answer.json["output"], answer.closes) == (7, True)
        for wire in (idle, begun, other):
            assert await wire.ends()
        async with asyncio.timeout(PATIENCE_S):
            await served.listener.drain()


async def test_who_does_not_end_in_time_is_ended() -> None:
    async with serving() as served:
        wire = await served.connect()
        await wire.send(head("fast", "Content-Length: 100"))
        await asyncio.sleep(0.05)
        served.listener.refuse()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await served.listener.drain()
        assert await wire.ends()
        assert served.open_connections == 0


async def test_requests_in_a_row_without_end_are_bounded() -> None:
    async with serving() as served:
        wire = await served.connect()
        stream = b"".join(predict("fast", str(number)) for number in range(1, 5000))
        tasks = Tasks()
        sending = tasks.spawn("send", wire.send(predict("slow", "0") + stream), is_awaited=True)
        await served.until(lambda: any(one.pipeline for one in served.listener.connections))
        (connection,) = served.listener.connections
        assert len(connection.pipeline) <= MAX_PIPELINE
        answers: list[Response] = []
        with contextlib.suppress(EOFError):
            while len(answers) < 5000:
                answers.append(await wire.receive())
        if answers[-1].status == 429:
            assert answers.pop().closes
            assert len(answers) > MAX_PIPELINE
        assert [answer.json["output"] for answer in answers] == list(range(len(answers)))
        sending.cancel()


async def test_a_fault_of_ours_is_no_fault_of_the_client(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(query: object) -> None:
        raise RuntimeError("nobody foresaw this")

    async with serving() as served:
        wire, other = await served.connect(), await served.connect()
        with monkeypatch.context() as patch:
            patch.setattr(served.world.services.predictor, "submit", fail)
            answer = await wire.ask(predict("fast", "7"))
        assert (answer.status, answer.closes) == (500, True)
        assert "nobody" not in answer.body.decode()
        assert await wire.ends()
        assert "nobody foresaw this" in caplog.text
        assert (await other.ask(predict("fast", "7"))).json["output"] == 7
