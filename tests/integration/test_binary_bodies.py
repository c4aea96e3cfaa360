"""Frames over real sockets: whole and in pieces, in a row with JSON, from heads known by heart."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from clipper.core.outputs import output_of
from clipper.core.types import Input, InputType, Output
from tests.fakes.frames import frame
from tests.fakes.listening import MAX_BODY, Served, chunk, head, predict, serving
from tests.fakes.predicting import application

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

FRAMES = "Content-Type: application/octet-stream"
SHAPE = (224, 224, 3)
IMAGE = np.random.default_rng(1).random(SHAPE, dtype=np.float32)
IMAGE_FRAME = frame("floats", IMAGE.tobytes(), SHAPE)
LARGE = 1_000_000


def framed(app: str, *frames: bytes, query: str = "", more: tuple[str, ...] = ()) -> bytes:
    """A whole request."""
    body = b"".join(frames)
    begin = head(app, FRAMES, f"Content-Length: {len(body)}", *more)
    return begin.replace(b"/predict", b"/predict" + query.encode(), 1) + body


def text(value: str) -> bytes:
    return frame("strings", value.encode())


def described(input: Input) -> Output:
    """What a model sees of an array, whole."""
    numbers = np.frombuffer(input.data, "<f4")
    is_image = numbers.tobytes() == IMAGE.tobytes()
    return output_of({"shape": input.shape, "is_image": is_image})


SEEN = {"shape": list(SHAPE), "is_image": True}


async def serve_images(served: Served) -> None:
    """An application of tensors, whose model says what it is given."""
    services = served.world.services
    record = replace(application("image"), input_type=InputType.FLOATS, latency_slo_micros=10**7)
    await services.catalogue.add_application(record)
    await served.world.deploy("image:1", input_type=InputType.FLOATS)
    await services.catalogue.link("image", ["image"])
    served.world.behaviour("image:1").answer = described


async def test_frames_over_the_wire_are_answered_by_the_fast_path() -> None:
    async with serving() as served:
        wire = await served.connect()
        answer = await wire.ask(framed("fast", text("7")))
        assert (answer.status, answer.json["output"]) == (200, 7)
        batch = await wire.ask(framed("fast", text("1"), text("2"), text("3")))
        assert [one["output"] for one in batch.json["batch_predictions"]] == [1, 2, 3]
        assert len(served.door.heads) == 2, "it was there that they were read"


async def test_frames_and_json_take_turns_on_a_connection() -> None:
    async with serving() as served:
        wire = await served.connect()
        for number in range(20):
            assert (await wire.ask(framed("fast", text(str(number))))).json["output"] == number
            assert (await wire.ask(predict("fast", f"j{number}"))).json["output"] == f"j{number}"


@pytest.mark.parametrize("piece_bytes", [1000, 4096, 65_536, 10**7])
async def test_a_large_tensor_comes_through_in_pieces_of_any_size(piece_bytes: int) -> None:
    async with serving(max_body_bytes=LARGE) as served:
        await serve_images(served)
        wire = await served.connect()
        request = framed("image", IMAGE_FRAME)
        for _ in range(2):
            for start in range(0, len(request), piece_bytes):
                await wire.send(request[start : start + piece_bytes])
            assert (await wire.receive()).json["output"] == SEEN


async def test_a_large_tensor_comes_through_in_chunks() -> None:
    async with serving(max_body_bytes=LARGE) as served:
        await serve_images(served)
        wire = await served.connect()
        await wire.send(head("image", FRAMES, "Transfer-Encoding: chunked"))
        for start in range(0, len(IMAGE_FRAME), 30_011):
            await wire.send(chunk(IMAGE_FRAME[start : start + 30_011]))
        assert (await wire.ask(chunk(b""))).json["output"] == SEEN


async def test_a_small_frame_may_come_byte_by_byte() -> None:
    async with serving() as served:
        wire = await served.connect()
        for byte in framed("fast", text("7")):
            await wire.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await wire.receive()).json["output"] == 7


async def test_pipelined_frames_and_json_are_answered_in_their_order() -> None:
    async with serving() as served:
        for _ in range(2):  # the second time, the first head is known
            wire = await served.connect()
            await wire.send(
                framed("slow", text("0"))
                + framed("fast", text("1"), query="?context=ann")
                + predict("fast", "2")
                + framed("fast", text("3"), text("4"))
                + framed("fast", b"no frame")
                + framed("fast", text("5"), query="?slo_ms=x")
                + framed("fast", text("6"))
            )
            answers = [(await wire.receive()).json for _ in range(7)]
            assert [answer.get("output") for answer in answers] == [0, 1, 2, None, None, None, 6]
            assert [one["output"] for one in answers[3]["batch_predictions"]] == [3, 4]
            assert [answers[4]["error"], answers[5]["error"]] == [
                "Frame error",
                "Query processing error",
            ]


async def test_heads_that_are_known_keep_their_own_media_type_and_parameters() -> None:
    async with serving() as served:
        wire = await served.connect()
        body = text("7")
        as_json = framed("fast", body).replace(b"octet-stream", b"x-www-form-urlencoded")
        unknown = framed("fast", body, query="?version=9")
        for _ in range(3):
            assert (await wire.ask(framed("fast", body))).json["output"] == 7
            assert (await wire.ask(as_json)).json["error"] == "Json error"
            known = await wire.ask(framed("fast", body, query="?version=1&explain=1"))
            assert known.json["models"] == ["fast:1"]
            assert "timing" in known.json
            missing = await wire.ask(unknown)
            assert missing.json["cause"] == "Requested version: 9 does not exist for model: fast"
        assert len(served.door.heads) == 4
        await served.world.deploy("fast:9")
        assert (await wire.ask(unknown)).json["models"] == ["fast:9"]


async def test_a_deadline_in_the_url_is_kept_each_time() -> None:
    async with serving() as served:
        wire = await served.connect()
        for number in range(3):
            asked = framed("slow", text(str(number)), query="?slo_ms=1")
            assert (await wire.ask(asked)).json["default"] is True


async def test_bad_parameters_are_refused_each_time_and_the_connection_goes_on() -> None:
    async with serving() as served:
        wire = await served.connect()
        for _ in range(3):
            for query, cause in (("?slo_ms=0", "slo_ms is 0"), ("?context=%ff", "not UTF-8")):
                answer = await wire.ask(framed("fast", text("7"), query=query))
                assert (answer.status, answer.closes) == (400, False)
                assert cause in answer.json["cause"]
        assert (await wire.ask(framed("fast", text("7")))).json["output"] == 7
        last = framed("fast", text("7"), query="?slo_ms=0", more=("Connection: close",))
        answer = await wire.ask(last)
        assert (answer.status, answer.closes) == (400, True)
        assert await wire.ends()


@pytest.mark.parametrize("name", ["CONTENT-TYPE", "content-type"])
async def test_the_media_type_may_be_written_in_any_way(name: str) -> None:
    async with serving() as served:
        wire = await served.connect()
        written = f"{name}:Application/OCTET-stream ; charset=binary"
        body = text("7")
        for _ in range(2):
            asked = head("fast", written, f"Content-Length: {len(body)}") + body
            assert (await wire.ask(asked)).json["output"] == 7


async def test_of_two_media_types_the_first_counts_whoever_answers() -> None:
    async with serving() as served:
        wire = await served.connect()
        twice = framed("fast", text("7"), more=("Content-Type: application/json",))
        body = b'{"input": "8"}'
        plain = head("fast", "Content-Type:", FRAMES, f"Content-Length: {len(body)}") + body
        await wire.send(predict("slow", "0") + twice + plain)  # these two wait, and so FastAPI's
        answers = [(await wire.receive()).json["output"] for _ in range(3)]
        alone = [(await wire.ask(one)).json["output"] for one in (twice, plain)]
        assert answers == [0, *alone] == [0, 7, 8]


async def test_a_client_that_asks_whether_to_go_on_is_told_to() -> None:
    async with serving() as served:
        wire = await served.connect()
        body = text("7")
        begin = head("fast", FRAMES, f"Content-Length: {len(body)}", "Expect: 100-continue")
        for _ in range(2):
            assert (await wire.ask(begin)).status == 100
            assert (await wire.ask(body)).json["output"] == 7


async def test_a_body_of_frames_is_bounded_like_any_other() -> None:
    async with serving() as served:
        wire = await served.connect()
        room = MAX_BODY - len(text(""))
        assert (await wire.ask(framed("fast", text("x" * room)))).json["output"] == "x" * room
        answer = await wire.ask(framed("fast", text("x" * (room + 1))))
        assert (answer.status, answer.closes) == (413, True)
        assert await wire.ends()


async def test_frames_need_the_token_where_there_is_one() -> None:
    async with serving("s3cret") as served:
        wire = await served.connect()
        for _ in range(2):
            assert (await wire.ask(framed("fast", text("7")))).status == 401
            right = framed("fast", text("7"), more=("Authorization: Bearer s3cret",))
            assert (await wire.ask(right)).json["output"] == 7


async def test_a_client_that_leaves_amid_a_large_frame_hurts_nobody() -> None:
    async with serving(max_body_bytes=LARGE) as served:
        await serve_images(served)
        leaving, other = await served.connect(), await served.connect()
        await leaving.send(framed("image", IMAGE_FRAME)[:400_000])
        await asyncio.sleep(0.02)
        leaving.abort()
        assert (await other.ask(framed("image", IMAGE_FRAME))).json["output"] == SEEN
        await served.until(lambda: served.open_connections == 1)
        assert served.outcomes("image") == {"answered": 1}


async def test_a_tensor_of_json_finds_what_its_frame_left_in_the_cache() -> None:
    async with serving(max_body_bytes=10_000_000) as served:
        await serve_images(served)
        wire = await served.connect()
        await wire.ask(framed("image", IMAGE_FRAME))
        body = json.dumps({"input": IMAGE.tolist()}).encode()
        asked = head("image", f"Content-Length: {len(body)}").replace(
            b"predict", b"predict?explain=1"
        )
        assert (await wire.ask(asked + body)).json["cache"] == "exact"
