"""What a daemon that starts makes of the containers that a killed one has left."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import docker
import pytest

from clipper.deploy.docker import manager as docker_manager
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.docker.request import Limits
from clipper.deploy.manager import ContainerSpec
from tests.fakes.engine import ask, id_of, is_there
from tests.fakes.watching import eventually, printed, started

pytestmark = pytest.mark.docker
Spec = Callable[..., ContainerSpec]
Daemon = Callable[..., "subprocess.Popen[str]"]
Left = Callable[..., list[str]]
GONE_WITHIN_S = 10


@pytest.fixture
def left(daemon: Daemon, engine: docker.DockerClient) -> Left:
    """The containers of a daemon that is dead, one for each model named."""

    def leave(*models: str) -> list[str]:
        process = daemon("docker", *models)
        ids = [container_id for _, container_id in started(process, len(models))]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return ids

    return leave


@pytest.fixture
async def manager(tmp_path: Path, engine: docker.DockerClient) -> AsyncIterator[DockerManager]:
    """The next daemon's, not open yet."""
    manager = DockerManager(tmp_path / "data")
    yield manager
    await manager.close()


async def test_a_container_that_runs_is_taken_over_and_answers(
    left: Left, manager: DockerManager, spec: Spec
) -> None:
    (first,) = left("Serves")
    await manager.open()
    container = await manager.start(spec("Serves", "docker"))
    assert id_of(container) == first
    assert await ask(container, bytes(8)) == [2]
    again = await manager.start(spec("Serves", "docker"))
    assert id_of(again) != first, "it was taken over twice"


async def test_the_log_of_one_that_was_taken_over_has_no_gap_and_says_nothing_twice(
    left: Left, manager: DockerManager, spec: Spec
) -> None:
    left("Serves")
    await manager.open()
    container = await manager.start(spec("Serves", "docker"))

    async def logs() -> list[str]:
        return list(await manager.logs(container.replica, 1000))

    assert await printed(logs, "Serving m:1 on")
    await container.stop(10)
    assert (await container.wait()).reason == "exited with code 0"
    texts = [line.split("INFO ")[1] for line in await logs()]
    assert texts[0] == "Loading m:1"
    assert texts[-1] == "Draining m:1"
    assert len(texts) == len(set(texts)) == 3


async def test_who_is_left_is_a_caller_of_ours_from_wherever_it_could_call(
    left: Left, manager: DockerManager, engine: docker.DockerClient
) -> None:
    (first,) = left("Serves")
    bridge = engine.networks.get("bridge")
    bridge.connect(first)
    networks = engine.api.inspect_container(first)["NetworkSettings"]["Networks"]
    address = networks["bridge"]["IPAddress"]
    assert not manager.is_caller(address), "it has not seen what there is"
    await manager.open()
    assert manager.is_caller(address)
    await manager.close()


async def test_its_end_is_noticed_like_any_others(
    left: Left, manager: DockerManager, spec: Spec, engine: docker.DockerClient
) -> None:
    left("Serves")
    await manager.open()
    container = await manager.start(spec("Serves", "docker"))
    engine.api.kill(id_of(container))
    async with asyncio.timeout(30):
        assert (await container.wait()).reason == "killed by SIGKILL"
    assert await eventually(lambda: not is_there(engine, id_of(container)), GONE_WITHIN_S)


async def test_one_that_would_be_started_otherwise_today_is_not_taken_over(
    left: Left, spec: Spec, tmp_path: Path, engine: docker.DockerClient
) -> None:
    (first,) = left("Serves")
    manager = DockerManager(tmp_path / "data", limits=Limits(memory_bytes=1 << 30))
    await manager.open()
    try:
        container = await manager.start(spec("Serves", "docker"))
        assert id_of(container) != first
        assert await ask(container, bytes(8)) == [2]
    finally:
        await manager.close()
    assert not is_there(engine, first)


async def test_what_is_paused_or_dead_is_removed_at_once_and_its_last_words_are_kept(
    left: Left, manager: DockerManager, spec: Spec, engine: docker.DockerClient
) -> None:
    paused, dead = left("Serves", "Exits")
    engine.api.pause(paused)
    assert engine.api.wait(dead)["StatusCode"] == 3
    await manager.open()
    container = await manager.start(spec("Serves", "docker"))
    assert id_of(container) != paused
    assert await eventually(
        lambda: not is_there(engine, paused) and not is_there(engine, dead), GONE_WITHIN_S
    )
    lines = await manager.logs(spec("Exits", "docker", index=1).replica, 10)
    assert "these were its last words" in lines


async def test_what_nobody_wants_is_removed_in_a_while(
    left: Left,
    manager: DockerManager,
    spec: Spec,
    engine: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docker_manager, "UNCLAIMED_S", 1.0)
    wanted, unwanted = left("Serves", "Serves")
    await manager.open()
    container = await manager.start(spec("Serves", "docker"))
    assert id_of(container) == wanted
    assert is_there(engine, unwanted)
    assert await eventually(lambda: not is_there(engine, unwanted), GONE_WITHIN_S)
    assert await ask(container, bytes(4)) == [1]


async def test_a_daemon_that_ends_in_order_leaves_nothing_also_of_what_it_had_not_taken_over(
    left: Left, manager: DockerManager, engine: docker.DockerClient
) -> None:
    ids = left("Serves", "Serves")
    await manager.open()
    assert all(is_there(engine, each) for each in ids)
    await manager.close()
    assert not any(is_there(engine, each) for each in ids)
