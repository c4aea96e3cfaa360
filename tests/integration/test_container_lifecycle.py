"""A container's life as a process: from its first line in the log to its exit code."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from clipper_container import model_pb2

from tests.fakes.sdk_process import MODELS, Client, Program, wait_for
from tests.fakes.wire import batch_of, values_of

Start = Callable[..., Awaitable[Program]]
SERVING, NOT_SERVING = 1, 2


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a model of tests/fakes/sdk_models.py; kills what is left of it."""
    programs: list[Program] = []

    async def start(model: str, *options: str, **environment: str) -> Program:
        programs.append(await Program.start(tmp_path, f"{MODELS}:{model}", *options, **environment))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()
        await program.ended()


async def appears(path: Path) -> None:
    await asyncio.to_thread(wait_for, path.exists)


async def test_a_model_is_warmed_up_before_it_is_ready(start: Start) -> None:
    program = await start("WarmsUp")
    async with Client(await program.ready()) as client:
        assert await client.check() == SERVING
        assert values_of((await client.ask(batch_of([[1, 2]] * 3))).outputs) == [2, 2, 2]
    program.terminate()
    code, output = await program.ended()
    assert code == 0
    assert output.index("call 1 with (1, 2)") < output.index("Serving") < output.index("call 2")


async def test_a_stale_ready_file_is_gone_before_the_model_is_loaded(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "ready").write_text("left behind by a crash")
    program = await start("Broken")
    await program.ended()
    assert not (tmp_path / "ready").exists()


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("Broken", "OSError: no weights in /the/model"),
        ("ColdBroken", "RuntimeError: the tokenizer is missing"),
    ],
)
async def test_a_model_that_cannot_be_loaded_ends_with_its_traceback_and_code_1(
    start: Start, model: str, complaint: str
) -> None:
    program = await start(model, "--model-data", "/the/model", "--name", "m", "--version", "3")
    code, output = await program.ended()
    assert code == 1
    assert complaint in output
    assert "Traceback" in output
    assert "sdk_models.py" in output
    assert "m:3 could not be served" in output


async def test_a_bad_target_or_address_ends_with_one_line_and_code_1(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "precious").touch()
    for arguments, complaint in [
        (("NoSuchModel",), "has no class NoSuchModel. It has Echo"),
        (("Echo", "--listen", f"unix:{tmp_path / 'precious'}"), "no socket"),
        (("Echo", "--listen", "nowhere"), "give unix:/path/to.sock or host:port"),
    ]:
        program = await start(*arguments)
        code, output = await program.ended()
        assert code == 1
        assert complaint in output
        assert "Traceback" not in output


async def test_a_port_that_is_taken_is_not_shared(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, output = await (await start("Echo", "--listen", address)).ended()
    assert code == 1
    assert f"--listen {address}" in output


async def test_two_containers_cannot_have_one_port(start: Start, tmp_path: Path) -> None:
    address = await (await start("Echo", "--listen", "127.0.0.1:0")).ready()
    second = await start("Echo", "--listen", address, "--ready-file", str(tmp_path / "ready2"))
    assert (await second.ended())[0] == 1


async def test_a_batch_in_hand_is_answered_after_sigterm(start: Start, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    program = await start("Slow", "--model-data", str(begun))
    async with Client(await program.ready()) as client:
        await client.send(batch_of([[1.5]], batch_id=1))
        await appears(begun)
        program.terminate()
        result = await client.receive()
        assert result is not None
        assert values_of(result.outputs) == [1.5]
        assert await client.receive() is None
    assert (await program.ended())[0] == 0
    assert not program.ready_file.exists()
    assert not (tmp_path / "s").exists()


async def test_a_client_that_leaves_in_the_middle_of_a_batch_hurts_nobody(
    start: Start, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    program = await start("Slow", "--model-data", str(begun))
    address = await program.ready()
    async with Client(address) as leaver, Client(address) as stayer:
        await leaver.send(batch_of([[0.5]]))
        await appears(begun)
        await leaver.__aexit__()
        assert values_of((await stayer.ask(batch_of([[0.25]]))).outputs) == [0.25]
    program.terminate()
    code, output = await program.ended()
    assert code == 0
    assert "Traceback" not in output


async def test_a_second_signal_ends_it_at_once(start: Start, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    program = await start("Slow", "--model-data", str(begun))
    async with Client(await program.ready()) as client:
        await client.send(batch_of([[1.0]]))
        await client.send(batch_of([[60.0]]))
        await appears(begun)
        program.terminate()
        await client.receive()
        await asyncio.sleep(0.5)
        program.terminate()
        assert (await program.ended())[0] == -signal.SIGTERM


async def test_a_model_that_exits_ends_the_process_with_its_code(start: Start) -> None:
    program = await start("Evaluates")
    async with Client(await program.ready()) as client:
        await client.send(batch_of(["sys.exit(7)"], model_pb2.STRINGS))
        code, _ = await program.ended()
        with pytest.raises(grpc.aio.AioRpcError):
            await client.receive()
    assert code == 7
    assert not program.ready_file.exists()


async def test_a_crash_in_native_code_leaves_the_models_stack_in_the_log(start: Start) -> None:
    program = await start("Evaluates")
    async with Client(await program.ready()) as client:
        await client.send(batch_of(["os.abort()"], model_pb2.STRINGS))
        code, output = await program.ended()
    assert code == -signal.SIGABRT
    assert "sdk_models.py" in output


async def test_what_a_model_prints_comes_out_line_by_line_in_any_locale(start: Start) -> None:
    program = await start("Evaluates", LC_ALL="C", PYTHONIOENCODING="", PYTHONUTF8="0")
    async with Client(await program.ready()) as client:
        for expression in ("[print('schön')]", "os.kill(os.getpid(), 9)"):
            await client.send(batch_of([expression], model_pb2.STRINGS))
        _, output = await program.ended()
    assert "schön\n" in output
