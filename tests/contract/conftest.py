"""Backends for the contract suites; what is not there skips its tests by name."""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.fakes.languages import LANGUAGES, Start, command_of
from tests.fakes.needs import missing
from tests.fakes.sdk_process import Client, Program

LISTEN = {"unix": "unix:{folder}/s", "tcp": "127.0.0.1:0"}


@pytest.fixture
def redis_url() -> str:
    return os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture
async def redis_prefix(redis_url: str) -> AsyncIterator[str]:
    """A key prefix of this test's own, whose keys are removed after it."""
    client = Redis.from_url(redis_url, socket_connect_timeout=2)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        await client.aclose()
        missing("redis", f"no server at {redis_url} ({error})")
    prefix = f"clipper-test-{uuid.uuid4().hex}"
    yield prefix
    keys = [key async for key in client.scan_iter(match=f"{prefix}:*")]
    if keys:
        await client.unlink(*keys)
    await client.aclose()


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=LISTEN)
def listen(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return LISTEN[request.param].format(folder=tmp_path)


@pytest.fixture
async def start(language: str, listen: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Start the linear model with these settings; kills what is left of it."""
    programs: list[Program] = []

    async def start(**settings: str) -> Program:
        settings = {"LISTEN": listen, "READY_FILE": str(tmp_path / "ready"), **settings}
        environment = {f"CLIPPER_CONTAINER_{name}": value for name, value in settings.items()}
        programs.append(await Program.run(tmp_path, *command_of(language), **environment))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()
        await program.ended()


@pytest.fixture
async def program(start: Start) -> Program:
    """A container that sums."""
    return await start(NAME="sum")


@pytest.fixture
async def client(program: Program) -> AsyncIterator[Client]:
    """A client of it."""
    async with Client(await program.ready()) as client:
        yield client
