"""What the stores do when a writing process is killed, and when their server goes away."""

import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import clipper
from clipper.core.errors import NewerSchema, StateError
from clipper.state.opening import open_store
from clipper.state.redis import RedisStore
from clipper.state.store import Store
from tests.fakes.needs import missing
from tests.fakes.redis_server import RedisServer

ROOT = Path(clipper.__file__).parent.parent

# Writes in a loop, and says on stdout what was acknowledged.
WRITER = """
import asyncio, json, sys
from clipper.state.opening import open_store

async def write():
    store = open_store(sys.argv[1])
    await store.open()
    revision, _ = await store.read()
    cell = await store.get("cell")
    version = cell.version if cell else 0
    while True:
        value = b"%d" % (revision + 1)
        revision = await store.commit({"a": value, "b": value}, expected=revision)
        version = await store.swap("cell", b"%d" % (version + 1), expected=version)
        first = await store.reserve("ids", 3)
        print(json.dumps([revision, version, first + 3]), flush=True)

asyncio.run(write())
"""


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        missing("redis", "there is no redis-server")
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/clipper.db"
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url


async def fault_of(store: Store) -> StateError:
    """The error that opening and reading it ends with."""
    try:
        await store.open()
        await store.read()
        pytest.fail("the store was read")
    except StateError as error:
        return error
    finally:
        await store.close()


def write_until_killed(url: str, lines: int, delay_s: float) -> list[int]:
    """Let a writer acknowledge that many rounds and more, kill it; returns its last words."""
    command = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
        said += [line for line in writer.stdout if line.endswith("\n")]
    acknowledged: list[int] = json.loads(said[-1])
    return acknowledged


async def test_what_was_acknowledged_survives_kill_9_in_the_middle_of_writing(url: str) -> None:
    delays = random.Random(7)
    for _ in range(6):
        delay_s = delays.uniform(0, 0.02)
        acknowledged = await asyncio.to_thread(write_until_killed, url, 5, delay_s)
        revision, version, following = acknowledged
        store = open_store(url)
        await store.open()
        configuration = await store.read()
        assert revision <= configuration.revision <= revision + 1
        value = b"%d" % configuration.revision
        assert configuration.records == {"a": value, "b": value}  # both or neither
        cell = await store.get("cell")
        assert cell is not None
        assert version <= cell.version <= version + 1
        assert cell.value == b"%d" % cell.version
        assert await store.reserve("ids", 3) >= following
        await store.close()


async def test_two_processes_write_one_file_without_losing_anything(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/clipper.db"
    counter = """
import asyncio, sys
from clipper.core.errors import Conflict
from clipper.state.opening import open_store

async def count():
    store = open_store(sys.argv[1])
    await store.open()
    done = 0
    while done < 50:
        revision, records = await store.read()
        total = b"%d" % (int(records.get("total", b"0")) + 1)
        try:
            await store.commit({"total": total}, expected=revision)
            done += 1
        except Conflict:
            pass
    await store.close()

asyncio.run(count())
"""
    command = (sys.executable, "-c", counter, url)
    processes = [await asyncio.create_subprocess_exec(*command, cwd=ROOT) for _ in range(2)]
    assert [await process.wait() for process in processes] == [0, 0]
    store = open_store(url)
    await store.open()
    assert await store.read() == (100, {"total": b"100"})
    await store.close()


@pytest.mark.redis
async def test_redis_down_at_the_start_is_an_error_at_once_until_it_is_back(
    redis_server: RedisServer,
) -> None:
    redis_server.stop()
    store = RedisStore(redis_server.url)
    started = time.monotonic()
    with pytest.raises(StateError, match="cannot be reached"):
        await store.open()
    assert time.monotonic() - started < 5
    with pytest.raises(StateError, match="is not open"):
        await store.revision()
    redis_server.start()
    await store.open()
    assert await store.commit({"a": b"1"}, expected=0) == 1
    await store.close()


@pytest.mark.redis
async def test_redis_going_away_is_an_error_at_once_and_the_handle_recovers(
    redis_server: RedisServer,
) -> None:
    redis_server.stop()
    redis_server.start("--appendonly", "yes", "--appendfsync", "always")
    store = RedisStore(redis_server.url)
    await store.open()
    await store.commit({"a": b"1"}, expected=0)
    for _ in range(2):
        redis_server.stop()
        started = time.monotonic()
        for call in (store.revision(), store.read(), store.reserve("ids", 1), store.discard("a")):
            with pytest.raises(StateError, match="cannot be reached") as caught:
                await call
            assert redis_server.url in caught.value.message
        assert time.monotonic() - started < 5
        redis_server.start("--appendonly", "yes", "--appendfsync", "always")
        assert await store.read() == (1, {"a": b"1"})
    assert await store.swap("a", b"1", expected=0) == 1
    await store.close()


@pytest.mark.redis
async def test_a_redis_that_hangs_is_given_up_in_time_and_taken_up_again(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipper.state.redis.TIMEOUT_S", 1.0)
    store = RedisStore(redis_server.url)
    await store.open()
    redis_server.signal(signal.SIGSTOP)
    started = time.monotonic()
    calls = [store.get(f"{n}") for n in range(40)]  # more than there are connections
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StateError] * 40
    assert time.monotonic() - started < 5
    redis_server.signal(signal.SIGCONT)
    assert await store.swap("a", b"1", expected=0) == 1
    assert await store.get("a") == (b"1", 1)
    await store.close()


@pytest.mark.redis
async def test_redis_of_a_newer_schema_is_refused(redis_server: RedisServer) -> None:
    redis_server.command("SET", "clipper:schema", "2")
    error = await fault_of(RedisStore(redis_server.url))
    assert isinstance(error, NewerSchema)
    assert "schema 2" in error.message


@pytest.mark.redis
async def test_a_wrong_password_is_named_but_not_shown(redis_server: RedisServer) -> None:
    redis_server.stop()
    redis_server.start("--requirepass", "right")
    url = f"redis://:wr0ng@127.0.0.1:{redis_server.port}"
    error = await fault_of(RedisStore(url))
    assert "refuses the password" in error.message
    assert "wr0ng" not in error.message + error.hint
    store = RedisStore(url.replace("wr0ng", "right"))
    await store.open()
    assert "right" not in store.url
    await store.close()


@pytest.mark.redis
async def test_a_redis_without_memory_refuses_the_whole_change(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    await store.open()
    await store.commit({"a": b"1"}, expected=0)
    redis_server.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StateError, match="out of memory"):
        await store.commit({"a": b"2", "b": b"2"}, expected=1)
    assert await store.read() == (1, {"a": b"1"})
    redis_server.command("CONFIG", "SET", "maxmemory", "0")
    assert await store.commit({"b": b"2"}, expected=1) == 2
    await store.close()


@pytest.mark.redis
async def test_a_server_that_is_no_redis_is_an_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await fault_of(RedisStore(f"redis://127.0.0.1:{port}"))
        assert f"127.0.0.1:{port}" in error.message
