"""The lane, over real unix sockets: the container's side of it, and the daemon's."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from clipper_container.lane import MAX_TOKEN_BYTES, SMALL_BYTES, lane_path
from clipper_container.model_pb2 import BatchResult

from clipper.core.errors import ReplicaFailed
from clipper.core.types import Input, InputType, ModelId, ReplicaId
from clipper.rpc.lane import Lane
from clipper.rpc.replica import GrpcReplica
from tests.fakes.sdk_process import MODELS, PATIENCE_S, Client, Program
from tests.fakes.wire import batch_of, values_of

REPLICA = ReplicaId(ModelId("m", "1"), 0)
TOKEN = "secret"


def framed(message: bytes) -> bytes:
    return struct.pack("<I", len(message)) + message


def is_there(lane: str) -> bool:
    return Path(lane).exists()


class Caller:
    """Somebody on a container's lane."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, path: str, token: str = TOKEN) -> "Caller":
        caller = cls(*await asyncio.open_unix_connection(path))
        caller.writer.write(framed(token.encode()))
        return caller

    async def result(self) -> BatchResult | None:
        """The next result; None when we were hung up on."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                (size,) = struct.unpack("<I", await self.reader.readexactly(4))
                return BatchResult.FromString(await self.reader.readexactly(size))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None


Serve = Callable[..., Awaitable[tuple[Program, str]]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start a model of tests/fakes/sdk_models.py; gives it and its lane's path."""
    programs: list[Program] = []

    async def start(model: str, *options: str) -> tuple[Program, str]:
        program = await Program.start(
            tmp_path, f"{MODELS}:{model}", *options, CLIPPER_CONTAINER_TOKEN=TOKEN
        )
        programs.append(program)
        async with Client(await program.ready(), TOKEN) as client:
            return program, (await client.describe()).lane

    yield start
    for program in programs:
        program.kill()
        await program.ended()


@pytest.fixture
async def lane(serve: Serve) -> str:
    """The path of the lane of a model that gives back what it gets."""
    return (await serve("Echo"))[1]


async def test_a_batch_is_answered_as_on_the_stream(lane: str) -> None:
    caller = await Caller.connect(lane)
    for number in range(3):
        batch = batch_of([[1, 2], [3, number]], batch_id=number)
        caller.writer.write(framed(batch.SerializeToString()))
        result = await caller.result()
        assert result is not None
        assert (result.id, values_of(result.outputs)) == (number, [[1, 2], [3, number]])
    caller.writer.close()


async def test_batches_that_come_at_once_or_in_pieces_are_answered_in_turn(lane: str) -> None:
    caller = await Caller.connect(lane)
    batches = [batch_of([[number]], batch_id=number) for number in range(5)]
    stream = b"".join(framed(batch.SerializeToString()) for batch in batches)
    caller.writer.write(stream)
    for piece in range(0, len(stream), 3):
        caller.writer.write(stream[piece : piece + 3])
        await caller.writer.drain()
        await asyncio.sleep(0)
    answered = [await caller.result() for _ in range(10)]
    assert [result.id for result in answered if result] == [*range(5), *range(5)]
    caller.writer.close()


async def test_a_batch_larger_than_the_buffer_is_answered_and_so_is_a_small_one_after(
    lane: str,
) -> None:
    caller = await Caller.connect(lane)
    large = [[float(number)] * SMALL_BYTES for number in range(3)]
    for inputs in (large, [[1.0]], large, [[2.0]]):
        caller.writer.write(framed(batch_of(inputs).SerializeToString()))
        result = await caller.result()
        assert result is not None
        assert values_of(result.outputs) == inputs
    caller.writer.close()


async def test_two_callers_do_not_see_each_others_results(lane: str) -> None:
    callers = [await Caller.connect(lane) for _ in range(2)]
    for number, caller in enumerate(callers):
        caller.writer.write(framed(batch_of([[number]], batch_id=number).SerializeToString()))
    results = [await caller.result() for caller in callers]
    assert [values_of(result.outputs) for result in results if result] == [[[0]], [[1]]]
    for caller in callers:
        caller.writer.close()


async def test_who_hangs_up_amid_a_batch_disturbs_nobody(lane: str) -> None:
    leaver = await Caller.connect(lane)
    leaver.writer.write(framed(batch_of([[1]]).SerializeToString())[:-1])
    await leaver.writer.drain()
    leaver.writer.close()
    caller = await Caller.connect(lane)
    caller.writer.write(framed(batch_of([[2]]).SerializeToString()))
    assert await caller.result() is not None
    caller.writer.close()


@pytest.mark.parametrize("token", ["", "wrong", "secret ", "x" * (MAX_TOKEN_BYTES + 1)])
async def test_another_token_is_hung_up_on(lane: str, token: str) -> None:
    caller = await Caller.connect(lane, token)
    caller.writer.write(framed(batch_of([[1]]).SerializeToString()))
    assert await caller.result() is None
    caller.writer.close()


@pytest.mark.parametrize("sent", [framed(b"\xff\xff"), struct.pack("<I", 2**32 - 1)])
async def test_what_is_no_batch_is_hung_up_on_and_the_container_lives(
    lane: str, sent: bytes
) -> None:
    caller = await Caller.connect(lane)
    caller.writer.write(sent)
    assert await caller.result() is None
    caller.writer.close()
    other = await Caller.connect(lane)
    other.writer.write(framed(batch_of([[1]]).SerializeToString()))
    assert await other.result() is not None
    other.writer.close()


async def test_a_batch_beyond_the_containers_limit_is_answered_with_an_error(serve: Serve) -> None:
    _, lane = await serve("Echo", "--max-message-bytes", "1000")
    caller = await Caller.connect(lane)
    caller.writer.write(framed(batch_of([[1.0] * 300]).SerializeToString()))
    result = await caller.result()
    assert result is not None
    assert "the limit of this container is 1000" in result.error.message
    caller.writer.close()


async def test_a_container_that_ends_lets_go_of_its_callers_and_of_its_socket(
    serve: Serve,
) -> None:
    program, lane = await serve("Echo")
    caller = await Caller.connect(lane)
    caller.writer.write(framed(batch_of([[1]]).SerializeToString()))
    assert await caller.result() is not None
    program.terminate()
    assert await caller.result() is None
    caller.writer.close()
    assert (await program.ended())[0] == 0
    assert not is_there(lane)


async def test_a_socket_that_a_killed_container_left_is_no_obstacle(serve: Serve) -> None:
    program, lane = await serve("Echo")
    program.kill()
    await program.ended()
    assert is_there(lane)
    program.ready_file.unlink()
    _, again = await serve("Echo")
    caller = await Caller.connect(again)
    caller.writer.write(framed(batch_of([[1]]).SerializeToString()))
    assert await caller.result() is not None
    caller.writer.close()


def test_only_a_container_on_a_unix_socket_has_a_lane() -> None:
    assert lane_path("127.0.0.1:0") == ""
    assert lane_path("unix:/run/a.sock") == "/run/a.sock.lane"
    assert lane_path("unix:/" + "a" * 105) == "", "there is no room for its name"


# The daemon's side


async def test_the_daemon_goes_by_the_lane_and_knows_when_it_breaks(serve: Serve) -> None:
    program, _ = await serve("Echo")
    address = await program.ready()
    replica = GrpcReplica(REPLICA, InputType.FLOATS, address, TOKEN)
    await replica.connect()
    assert type(replica._way) is Lane
    data = struct.pack("<2f", 1, 2)
    for _ in range(3):
        answer = await replica.predict([Input(data)] * 2)
        assert [output.value for output in answer.outputs] == [[1, 2], [1, 2]]
    program.kill()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(ReplicaFailed, match="m:1#0 broke off"):
            await replica.broken()
        with pytest.raises(ReplicaFailed, match="m:1#0 broke off its lane"):
            await replica.predict([Input(data)])
    await replica.close()


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def ask(path: Path, answer: Answer) -> BatchResult | object:
    """What comes of a batch that is sent to a container which answers as it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = struct.unpack("<I", await reader.readexactly(4))
        assert await reader.readexactly(size) == TOKEN.encode()
        (size,) = struct.unpack("<I", await reader.readexactly(4))
        assert await reader.readexactly(size) == b"a batch"
        await answer(reader, writer)
        writer.close()
        await writer.wait_closed()
        served.set()

    served = asyncio.Event()
    async with await asyncio.start_unix_server(serve, path):
        lane = await Lane.open(REPLICA, str(path), TOKEN)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await lane.exchange(b"a batch")
        finally:
            await lane.close()
            await served.wait()


RESULT = BatchResult(id=7).SerializeToString()


async def test_a_result_may_come_in_pieces(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in framed(RESULT):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.001)

    result = await ask(tmp_path / "lane", answer)
    assert result.id == 7  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "sent",
    [b"", framed(RESULT)[:-1], framed(b"\xff\xff"), b"\x01"],
    ids=["nothing", "half", "none", "length"],
)
async def test_a_container_that_answers_with_something_else_has_broken_off(
    tmp_path: Path, sent: bytes
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    with pytest.raises(ReplicaFailed, match="m:1#0 broke off its lane"):
        await ask(tmp_path / "lane", answer)


async def test_a_container_that_talks_unasked_is_hung_up_on(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(RESULT))
        await reader.read()
        writer.close()
        await writer.wait_closed()
        hung_up.set()

    hung_up = asyncio.Event()
    path = str(tmp_path / "lane")
    async with await asyncio.start_unix_server(serve, path):
        lane = await Lane.open(REPLICA, path, TOKEN)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(ReplicaFailed):
                await lane.broken()
            await hung_up.wait()
    await lane.close()


async def test_where_nobody_listens_the_replica_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReplicaFailed, match="The lane of m:1#0 cannot be entered"):
        await Lane.open(REPLICA, str(tmp_path / "nothing"), TOKEN)
