"""What every container manager does, and the fake that stands in for one too."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import docker
import pytest

from clipper.core.errors import DeployError
from clipper.core.types import Deployment, InputType, ModelId, ReplicaId
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.manager import Container, ContainerManager, ContainerSpec
from clipper.deploy.process.manager import ProcessManager
from tests.fakes.containers import FakeContainer, FakeManager, Script
from tests.fakes.engine import require_docker

MODELS = Path(__file__).parents[1] / "fakes" / "models.py"
PATIENCE_S = 30


class Bench:
    """An open manager, the models of tests/fakes/models.py, and a hand that kills from outside."""

    def __init__(
        self, manager: ContainerManager, models: Path, kill: Callable[[Container], None]
    ) -> None:
        self.manager = manager
        self.models = models
        self.kill = kill

    def spec(self, path: str, index: int = 0) -> ContainerSpec:
        deployment = Deployment(self.manager.name, "python", path)
        return ContainerSpec(ReplicaId(ModelId("m", "1"), index), InputType.FLOATS, deployment)

    async def start(self, model: str, index: int = 0) -> Container:
        return await self.manager.start(self.spec(f"{self.models}:{model}", index))

    async def printed(self, replica: ReplicaId, text: str) -> list[str]:
        """Wait until a line of the replica's log has the text; returns the log."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                lines = list(await self.manager.logs(replica, 1000))
                if any(text in line for line in lines):
                    return lines
                await asyncio.sleep(0.05)


def fake_bench(folder: Path, models: Path) -> Bench:
    scripts = {
        f"{models}:Raises": Script(("RuntimeError: no such luck",), exits_with=1),
        f"{models}:Exits": Script(("these were its last words",), exits_with=3),
        f"{models}:IgnoresSigterm": Script(("Hanging",), ignores_sigterm=True),
    }

    def kill(container: Container) -> None:
        assert isinstance(container, FakeContainer)
        container.end(-9, "killed by SIGKILL")

    return Bench(FakeManager(scripts, {f"{models.parent}/missing.py:Serves"}), models, kill)


def process_bench(folder: Path, models: Path) -> Bench:
    def kill(container: Container) -> None:
        os.kill(int(container.identity.removeprefix("pid ")), signal.SIGKILL)

    return Bench(ProcessManager(folder), models, kill)


def docker_bench(folder: Path, models: Path) -> Bench:
    require_docker()

    def kill(container: Container) -> None:
        with contextlib.closing(docker.from_env()) as engine:
            engine.api.kill(container.identity.removeprefix("docker "), signal="SIGKILL")

    return Bench(DockerManager(folder, "clipper"), models, kill)


@pytest.fixture(
    params=[
        pytest.param(fake_bench, id="fake"),
        pytest.param(process_bench, id="process"),
        pytest.param(docker_bench, id="docker", marks=pytest.mark.docker),
    ]
)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    models = tmp_path / "models" / "models.py"
    models.parent.mkdir(mode=0o755)
    shutil.copy(MODELS, models)
    models.chmod(0o644)
    bench: Bench = request.param(tmp_path / "data", models)
    await bench.manager.open()
    yield bench
    await bench.manager.close()


async def test_a_started_container_says_where_and_what_it_is(bench: Bench) -> None:
    container = await bench.start("Serves")
    assert container.replica == ReplicaId(ModelId("m", "1"), 0)
    assert container.address.startswith("unix:/") or container.address.endswith(":7000")
    assert container.token
    assert container.identity
    await bench.printed(container.replica, "Serving")


async def test_no_two_containers_share_an_address_or_a_token(bench: Bench) -> None:
    first, second, again = await asyncio.gather(
        bench.start("Serves", 0), bench.start("Serves", 1), bench.start("Serves", 0)
    )
    assert len({first.address, second.address, again.address}) == 3
    assert len({first.token, second.token, again.token}) == 3


async def test_a_model_that_cannot_be_loaded_ends_with_code_1_and_its_error(bench: Bench) -> None:
    container = await bench.start("Raises")
    async with asyncio.timeout(PATIENCE_S):
        exit = await container.wait()
    assert (exit.code, exit.reason) == (1, "exited with code 1")
    assert "RuntimeError: no such luck" in exit.lines


async def test_a_model_that_exits_tells_its_code_and_last_words(bench: Bench) -> None:
    container = await bench.start("Exits")
    async with asyncio.timeout(PATIENCE_S):
        exit = await container.wait()
    assert (exit.code, exit.reason) == (3, "exited with code 3")
    assert exit.lines[-1] == "these were its last words"


async def test_a_container_that_is_killed_says_so(bench: Bench) -> None:
    container = await bench.start("Serves")
    await bench.printed(container.replica, "Serving")
    bench.kill(container)
    async with asyncio.timeout(PATIENCE_S):
        exit = await container.wait()
    assert (exit.code, exit.reason) == (-9, "killed by SIGKILL")


async def test_all_who_wait_learn_of_the_end_and_one_that_gives_up_hurts_nobody(
    bench: Bench,
) -> None:
    container = await bench.start("Serves")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await container.wait()
    first, second, _ = await asyncio.gather(container.wait(), container.wait(), container.stop(5))
    assert first == second == await container.wait()


async def test_a_container_that_is_asked_to_stop_ends_with_code_0(bench: Bench) -> None:
    container = await bench.start("Serves")
    await bench.printed(container.replica, "Serving")
    await container.stop(PATIENCE_S)
    assert (await container.wait()).code == 0


async def test_stopping_twice_or_at_once_or_after_the_end_is_stopping_once(bench: Bench) -> None:
    container = await bench.start("Serves")
    await bench.printed(container.replica, "Serving")
    await asyncio.gather(container.stop(5), container.stop(5))
    exit = await container.wait()
    await container.stop(0)
    assert await container.wait() == exit


async def test_a_container_that_will_not_stop_is_killed_after_the_grace(bench: Bench) -> None:
    container = await bench.start("IgnoresSigterm")
    await bench.printed(container.replica, "Hanging")
    started = asyncio.get_running_loop().time()
    await container.stop(0.5)
    assert asyncio.get_running_loop().time() - started >= 0.5
    assert (await container.wait()).reason == "killed by SIGKILL"


async def test_the_log_of_a_replica_outlives_its_containers(bench: Bench) -> None:
    for _ in range(2):
        container = await bench.start("Exits")
        await container.wait()
    lines = await bench.manager.logs(container.replica, 1000)
    assert [line for line in lines if "words" in line] == ["these were its last words"] * 2
    assert await bench.manager.logs(container.replica, 1) == ["these were its last words"]
    assert await bench.manager.logs(container.replica, 0) == []


async def test_a_replica_that_never_ran_has_no_log(bench: Bench) -> None:
    assert await bench.manager.logs(ReplicaId(ModelId("other", "1"), 0), 10) == []


async def test_a_file_that_is_missing_is_named_and_nothing_is_started(bench: Bench) -> None:
    spec = bench.spec(f"{bench.models.parent}/missing.py:Serves")
    with pytest.raises(DeployError, match=r"missing\.py") as refused:
        await bench.manager.start(spec)
    assert refused.value.hint
    assert await bench.manager.logs(spec.replica, 10) == []


async def test_forgetting_what_nobody_needs_hurts_nothing_that_runs(bench: Bench) -> None:
    container = await bench.start("Serves")
    await bench.manager.forget([])
    await bench.printed(container.replica, "Serving")
    await container.stop(PATIENCE_S)
    assert (await container.wait()).code == 0


async def test_a_closed_manager_has_nothing_to_forget(bench: Bench) -> None:
    await bench.manager.close()
    await bench.manager.forget([bench.spec(f"{bench.models}:Serves").deployment])


async def test_closing_stops_every_container(bench: Bench) -> None:
    containers = await asyncio.gather(*(bench.start("Serves", index) for index in range(3)))
    await bench.manager.close()
    async with asyncio.timeout(1):
        await asyncio.gather(*(container.wait() for container in containers))


async def test_a_start_that_closing_overtakes_is_refused_or_stopped(bench: Bench) -> None:
    started, _ = await asyncio.gather(
        bench.start("Serves"), bench.manager.close(), return_exceptions=True
    )
    if isinstance(started, BaseException):
        assert isinstance(started, DeployError)
    else:
        async with asyncio.timeout(1):
            await started.wait()


async def test_a_closed_manager_starts_nothing(bench: Bench) -> None:
    await bench.manager.close()
    with pytest.raises(DeployError, match="closed"):
        await bench.start("Serves")


async def test_closing_twice_is_closing_once_and_a_closed_manager_can_be_opened(
    bench: Bench,
) -> None:
    await bench.manager.close()
    await bench.manager.close()
    await bench.manager.open()
    container = await bench.start("Serves")
    await container.stop(5)
