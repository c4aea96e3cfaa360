"""Docker replicas against a real engine."""

import asyncio
import gc
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import docker
import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from clipper.core.errors import DeployError
from clipper.core.types import Deployment, InputType, ModelId, ReplicaId
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.docker.request import USER_ID, Limits
from clipper.deploy.manager import ContainerSpec
from tests.fakes.engine import Way, ask, id_of, is_there, require_docker
from tests.fakes.watching import eventually, printed, started

pytestmark = pytest.mark.docker
Spec = Callable[..., ContainerSpec]
Daemon = Callable[..., "subprocess.Popen[str]"]
GONE_WITHIN_S = 10


@pytest.fixture
async def containers(engine: docker.DockerClient, tmp_path: Path) -> AsyncIterator[DockerManager]:
    """An open Docker manager, whose containers have little memory."""
    manager = DockerManager(tmp_path / "data", "clipper", Limits(memory_bytes=128 << 20))
    await manager.open()
    yield manager
    await manager.close()


@pytest.fixture
def forgotten_sockets() -> Iterator[None]:
    """The SDK leaves the socket of a connection that failed to the garbage collector."""
    yield
    gc.collect()


ignores_forgotten_sockets = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


async def test_a_model_answers_at_its_address(containers: DockerManager, spec: Spec) -> None:
    container = await containers.start(spec("Serves", "docker"))
    assert await ask(container, bytes(12), bytes(4)) == [3, 1]


async def test_a_saved_sklearn_model_is_served_from_its_file_or_its_folder(
    containers: DockerManager, tmp_path: Path
) -> None:
    require_docker("sklearn")
    folder = tmp_path / "saved"
    folder.mkdir(mode=0o755)
    model = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([1.0, 3.0]))
    joblib.dump(model, folder / "model.joblib")
    (folder / "model.joblib").chmod(0o644)
    for index, path in enumerate((folder, folder / "model.joblib")):
        deployment = Deployment("docker", "sklearn", str(path))
        replica = ReplicaId(ModelId("m", "1"), index)
        container = await containers.start(ContainerSpec(replica, InputType.FLOATS, deployment))
        assert await ask(container, np.float32(10).tobytes()) == pytest.approx([21.0])


async def test_a_container_gets_what_a_model_needs_and_no_more(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec, tmp_path: Path
) -> None:
    data = tmp_path / "weights"
    data.touch(0o644)
    container = await containers.start(spec("ShowsItself", "docker", data=str(data)))
    logs = partial(containers.logs, container.replica, 1000)
    await printed(logs, "Serving")
    lines = await logs()
    assert {"model_data /model/weights", f"user {USER_ID}", "written /tmp/new"} <= set(lines)
    assert len([line for line in lines if line.startswith("refused")]) == 3
    assert "capabilities 0000000000000000" in lines
    config = engine.api.inspect_container(id_of(container))
    assert not any(config["NetworkSettings"]["Ports"].values()), "it is published"
    assert [mount["RW"] for mount in config["Mounts"] if mount["Type"] == "bind"] == [False] * 2


async def test_a_class_imports_its_neighbours_and_sees_nothing_else_beside_it(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec, models: Path
) -> None:
    with models.open("a") as file:
        file.write("\nimport lib.words, table\n")
    for name in ("table.py", "lib/__init__.py", "lib/words.py", ".env", "notes.txt"):
        (models.parent / name).parent.mkdir(mode=0o755, exist_ok=True)
        (models.parent / name).touch(0o644)
    container = await containers.start(spec("Serves", "docker"))
    assert await ask(container, bytes(4)) == [1]
    ran = engine.api.exec_create(id_of(container), ["ls", "-A", "/code"])
    assert engine.api.exec_start(ran["Id"]).split() == [b"lib", b"models.py", b"table.py"]


async def test_a_container_that_runs_out_of_memory_says_so(
    containers: DockerManager, spec: Spec
) -> None:
    container = await containers.start(spec("EatsMemory", "docker"))
    async with asyncio.timeout(60):
        exit = await container.wait()
    assert (exit.code, exit.reason) == (-9, "ran out of memory (killed by SIGKILL)")
    assert "Loading m:1" in exit.lines[-1]


async def test_a_missing_image_is_named_with_how_to_build_it(
    containers: DockerManager,
) -> None:
    deployment = Deployment("docker", "noop", "", image="clipper/no-such-image:1")
    spec = ContainerSpec(ReplicaId(ModelId("m", "1"), 0), InputType.FLOATS, deployment)
    with pytest.raises(DeployError, match="clipper/no-such-image:1") as refused:
        await containers.start(spec)
    assert "docker/build.sh" in refused.value.hint


async def test_files_that_the_container_could_not_read_are_refused(
    containers: DockerManager, spec: Spec, models: Path
) -> None:
    os.chmod(models, 0o600)
    with pytest.raises(DeployError, match=f"models.py cannot be read by user id {USER_ID}") as told:
        await containers.start(spec("Serves", "docker"))
    assert "chmod" in told.value.hint


@ignores_forgotten_sockets
@pytest.mark.usefixtures("forgotten_sockets")
async def test_without_an_engine_it_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    manager = DockerManager(tmp_path / "data", "clipper")
    for _ in range(2):  # the second attempt finds its place free
        with pytest.raises(DeployError, match="no Docker engine answers") as refused:
            await manager.open()
        assert "Start Docker" in refused.value.hint


@ignores_forgotten_sockets
@pytest.mark.usefixtures("forgotten_sockets")
async def test_an_engine_that_goes_away_ends_the_wait_and_its_return_the_container(
    engine: docker.DockerClient, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Way(tmp_path / "docker.sock")
    await way.restore()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{way.path}")
    manager = DockerManager(tmp_path / "data", "clipper")
    await manager.open()
    lost = await manager.start(spec("Serves", "docker"))
    await way.cut()
    async with asyncio.timeout(10):
        assert "engine" in (await lost.wait()).reason
        await lost.stop(5)
        with pytest.raises(DeployError, match="no Docker engine answers"):
            await manager.start(spec("Serves", "docker"))
    assert is_there(engine, id_of(lost))
    await way.restore()
    found = await manager.start(spec("Serves", "docker"))
    assert not is_there(engine, id_of(lost))
    assert is_there(engine, id_of(found))
    await manager.close()
    await way.cut()


async def test_a_start_that_is_cancelled_leaves_no_container(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec, tmp_path: Path
) -> None:
    for delay_s in (0.02, 0.1, 0.2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(delay_s):
                await containers.start(spec("Serves", "docker"))
    code = f"{tmp_path}/models/models.py"
    assert await eventually(lambda: not mounting(engine, code), GONE_WITHIN_S)


def mounting(engine: docker.DockerClient, path: str) -> list[str]:
    """The containers that see a file or folder of this machine."""
    return [
        str(container.id)
        for container in engine.containers.list(all=True, sparse=True)
        if any(mount.get("Source") == path for mount in container.attrs["Mounts"])
    ]


async def test_nothing_outlives_a_daemon_that_is_killed(
    daemon: Daemon, engine: docker.DockerClient, tmp_path: Path
) -> None:
    process = daemon("docker", "Serves", "IgnoresSigterm")
    ids = [container_id for _, container_id in started(process, 2)]
    assert all(is_there(engine, container_id) for container_id in ids)
    networks = networks_of(engine, ids[0])
    os.killpg(process.pid, signal.SIGKILL)
    assert await eventually(lambda: not any(is_there(engine, each) for each in ids), GONE_WITHIN_S)
    assert await eventually(lambda: not engine.networks.list(names=networks), GONE_WITHIN_S)


def networks_of(engine: docker.DockerClient, container_id: str) -> list[str]:
    return list(engine.api.inspect_container(container_id)["NetworkSettings"]["Networks"])


async def test_the_next_start_removes_what_a_daemon_left_and_only_that(
    containers: DockerManager, engine: docker.DockerClient, spec: Spec
) -> None:
    mine = await containers.start(spec("Serves", "docker"))
    config = engine.api.inspect_container(id_of(mine))["Config"]
    await containers.close()
    own = config["Labels"]
    foreign = {**own, "ai.clipper.instance": "another"}
    left, kept = (engine.containers.create(config["Image"], labels=each) for each in (own, foreign))
    try:
        await containers.open()
        assert await eventually(lambda: not is_there(engine, str(left.id)), GONE_WITHIN_S)
        assert is_there(engine, str(kept.id))
    finally:
        kept.remove()
