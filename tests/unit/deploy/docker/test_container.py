"""A container's life as the daemon sees it: how it ends, what it has said, and when it is gone."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from clipper.core.errors import DeployError
from clipper.core.types import ModelId, ReplicaId
from clipper.deploy.docker.container import DockerContainer, EngineCalls
from clipper.deploy.docker.engine import Ended, Engine, Located
from clipper.deploy.logs import LogFile
from clipper.deploy.manager import Exit

REPLICA = ReplicaId(ModelId("m", "1"), 0)
WHERE = Located("0123456789abcdef", "secret", "172.18.0.2:7000", frozenset({"172.18.0.2"}))


class FakeEngine:
    """Has one container, which ends when it is told to and is removed when that is allowed."""

    def __init__(self) -> None:
        self.ending = threading.Event()
        self.removing = threading.Event()
        self.end = Ended(0, out_of_memory=False)
        self.is_away = False
        self.signals: list[str] = []
        self.heeds = "SIGTERM"

    def wait(self, container_id: str) -> Ended:
        self.ending.wait(30)
        if self.is_away:
            raise DeployError("no Docker engine answers")
        return self.end

    def output(self, container_id: str, lines: int) -> bytes:
        return b"first\nlast\n"

    def remove(self, container_id: str) -> None:
        self.removing.wait(30)

    def signal(self, container_id: str, name: str) -> None:
        self.signals.append(name)
        if name == self.heeds:
            self.ending.set()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def container(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[DockerContainer]:
    """It runs, and is followed."""
    calls = EngineCalls(cast(Engine, engine))
    one = DockerContainer(REPLICA, WHERE, calls)
    one.follow(LogFile(tmp_path / "log"), lambda: None)
    yield one
    engine.ending.set()
    engine.removing.set()
    await one.stop(1)
    await calls.close()


async def test_it_says_where_and_what_it_is(container: DockerContainer) -> None:
    assert (container.address, container.token) == ("172.18.0.2:7000", "secret")
    assert container.identity == "docker 0123456789ab"
    assert not container.is_over


async def test_how_it_ended_is_known_before_it_is_removed(
    container: DockerContainer, engine: FakeEngine, tmp_path: Path
) -> None:
    engine.end = Ended(3, out_of_memory=False)
    engine.ending.set()
    async with asyncio.timeout(10):
        assert await container.wait() == Exit(3, "exited with code 3", ("first", "last"))
    assert container.is_over
    assert LogFile(tmp_path / "log").tail(10) == ["first", "last"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-9, "ran out of memory (killed by SIGKILL)"),
        (1, "ran out of memory (exited with code 1)"),  # it was another process of its
    ],
)
async def test_that_memory_ran_out_is_said_beside_the_exit_code(
    container: DockerContainer, engine: FakeEngine, code: int, reason: str
) -> None:
    engine.end = Ended(code, out_of_memory=True)
    engine.ending.set()
    async with asyncio.timeout(10):
        exit = await container.wait()
    assert (exit.code, exit.reason) == (code, reason)


async def test_stopping_returns_when_it_is_removed_and_not_before(
    container: DockerContainer, engine: FakeEngine
) -> None:
    stopping = asyncio.gather(container.stop(10))
    async with asyncio.timeout(10):
        await container.wait()
    assert not stopping.done()
    engine.removing.set()
    async with asyncio.timeout(10):
        await stopping
    assert engine.signals == ["SIGTERM"]


async def test_one_that_does_not_heed_is_killed(
    container: DockerContainer, engine: FakeEngine
) -> None:
    engine.heeds = "SIGKILL"
    engine.removing.set()
    async with asyncio.timeout(10):
        await container.stop(0.01)
    assert engine.signals == ["SIGTERM", "SIGKILL"]


async def test_one_whose_engine_is_away_is_given_up(
    container: DockerContainer, engine: FakeEngine
) -> None:
    engine.is_away = True
    engine.ending.set()
    async with asyncio.timeout(10):
        assert await container.wait() == Exit(None, "no Docker engine answers")
        await container.stop(10)
