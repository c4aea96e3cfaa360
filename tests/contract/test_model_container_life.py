"""The life of every model container, in whatever language: loading, health, draining, its end."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from tests.fakes.languages import Start, large, sums
from tests.fakes.sdk_process import Client, Program, wait_for
from tests.fakes.wire import batch_of, values_of

SERVING, NOT_SERVING = 1, 2


async def test_health_is_watched_from_the_first_moment_to_the_last(
    start: Start, tmp_path: Path, listen: str
) -> None:
    if listen.startswith("unix:"):
        client = Client(listen)  # before there is anything to connect to
        watch = client.watch()
        program = await start()
    else:
        program = await start()
        client = Client(await program.ready())
        watch = client.watch()
    async with client:
        assert await watch.read() == SERVING
        program.terminate()
        assert await watch.read() == NOT_SERVING
        assert await watch.read() is grpc.aio.EOF
        assert await watch.code() is grpc.StatusCode.OK
    assert (await program.ended())[0] == 0


async def test_the_ready_file_is_there_while_the_model_serves_and_holds_the_address(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "ready").write_text("left behind by a crash")
    program = await start()
    await asyncio.to_thread(wait_for, lambda: "crash" not in read(program.ready_file))
    async with Client(await program.ready()) as client:
        assert await sums(client)
    program.terminate()
    assert (await program.ended())[0] == 0
    assert os.listdir(tmp_path) == []


def read(path: Path) -> str:
    """Its text, a crash's where it is between two."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return "crash"


async def test_what_was_sent_before_sigterm_is_answered(client: Client, program: Program) -> None:
    inputs = list(np.ones((10, 1 << 15), np.float32))
    for number in range(10):
        await client.send(batch_of(inputs, batch_id=number))
    program.terminate()
    for number in range(10):
        result = await client.receive()
        assert result is not None
        assert (result.id, values_of(result.outputs)) == (number, [1 << 15] * 10)
    assert await client.receive() is None
    assert (await program.ended())[0] == 0


async def test_whoever_stops_sending_when_told_so_loses_no_answer(
    client: Client, program: Program
) -> None:
    watch = client.watch()
    assert await watch.read() == SERVING
    told = asyncio.create_task(watch.read())
    number = 0
    while not told.done():
        number += 1
        assert await sums(client)
        if number == 100:
            program.terminate()
    assert await told == NOT_SERVING
    assert number > 100
    assert (await program.ended())[0] == 0


async def test_streams_that_wait_do_not_hold_up_the_end(client: Client, program: Program) -> None:
    assert await sums(client)
    began = asyncio.get_running_loop().time()
    program.terminate()
    assert await client.receive() is None
    assert (await program.ended())[0] == 0
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_second_signal_ends_a_drain_that_somebody_holds_up(
    client: Client, program: Program
) -> None:
    await client.send(large(20 << 20))
    await asyncio.sleep(1)  # it is about to send what nobody reads
    program.terminate()
    await asyncio.to_thread(wait_for, lambda: not program.ready_file.exists())
    await asyncio.sleep(0.5)
    program.terminate()
    assert (await program.ended())[0] == -signal.SIGTERM


async def test_a_client_that_leaves_in_the_middle_of_a_batch_hurts_nobody(
    client: Client, program: Program
) -> None:
    async with Client(await program.ready()) as leaver:
        await leaver.send(large(20 << 20))
        await asyncio.sleep(0.5)
    assert await sums(client)
    program.terminate()
    assert (await program.ended())[0] == 0


@pytest.mark.parametrize("listen", ["unix"], indirect=True)
@pytest.mark.parametrize(
    "text",
    ["", "quadratic\n1 2\n", "linear\n", "linear\n1 two\n", "linear\n1 2 3\n1 2\n"],
    ids=["empty", "another kind", "no weights", "no number", "ragged"],
)
async def test_a_model_that_cannot_be_loaded_ends_with_a_message_and_code_1(
    start: Start, tmp_path: Path, text: str
) -> None:
    (tmp_path / "model").write_text(text)
    code, output = await (await start(MODEL_DATA=str(tmp_path / "model"), NAME="m:3")).ended()
    assert code == 1
    assert "m:3 could not be served" in output
    assert not (tmp_path / "ready").exists()


async def test_an_address_that_cannot_be_had_ends_with_a_message_and_code_1(
    program: Program, start: Start, tmp_path: Path
) -> None:
    await program.ready()
    for address in ("nowhere", "192.0.2.1:7000", "unix:/no/such/folder/s"):
        code, output = await (await start(LISTEN=address, READY_FILE=f"{tmp_path}/2")).ended()
        assert code == 1, address
        assert address in output


async def test_a_container_takes_the_socket_of_a_killed_one_only(
    start: Start, program: Program, tmp_path: Path
) -> None:
    address = await program.ready()
    second = await start(LISTEN=address, READY_FILE=str(tmp_path / "2"))
    assert (await second.ended())[0] == 1
    async with Client(address) as client:
        assert await sums(client)
    program.kill()
    await program.ended()
    program.ready_file.unlink()
    async with Client(await (await start(LISTEN=address)).ready()) as client:
        assert await sums(client)


@pytest.mark.parametrize("listen", ["tcp"], indirect=True)
async def test_idle_streams_may_be_pinged_as_often_as_the_daemon_likes(program: Program) -> None:
    pings: dict[str, Any] = {"keepalive_time_ms": 100, "keepalive_timeout_ms": 1000}
    pings |= {"keepalive_permit_without_calls": 1, "http2.max_pings_without_data": 0}
    async with Client(await program.ready(), **pings) as client:
        assert await sums(client)
        await asyncio.sleep(6)  # a ping a second, at most, and by default three are too many
        assert await sums(client)
