"""Models in C++ and Go, as programs and in images, started by the managers and asked as ever."""

import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import clipper
from clipper.core.types import Deployment, Input, InputType, ModelId, ReplicaId
from clipper.deploy.docker.manager import DockerManager
from clipper.deploy.docker.request import Limits
from clipper.deploy.manager import Container, ContainerManager, ContainerSpec
from clipper.deploy.process.manager import ProcessManager
from clipper.rpc.replica import GrpcReplica
from tests.fakes.engine import require_image
from tests.fakes.languages import binary_of, save_linear
from tests.fakes.watching import printed

X, Y = load_iris(return_X_y=True)
MODEL = LogisticRegression(max_iter=500).fit(X, Y)


@pytest.fixture(params=["cpp", "go"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The model, for all to read."""
    file = tmp_path / "iris"
    save_linear(MODEL, file)
    tmp_path.chmod(0o755)
    return file


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A file that is no such model."""
    file = tmp_path / "spoilt"
    file.write_text("quadratic\n")
    return file


@pytest.fixture
async def docker(tmp_path: Path) -> AsyncIterator[DockerManager]:
    """An open Docker manager, whose containers have little memory."""
    manager = DockerManager(tmp_path / "data", "clipper", Limits(memory_bytes=128 << 20))
    await manager.open()
    yield manager
    await manager.close()


def spec(deployment: Deployment) -> ContainerSpec:
    return ContainerSpec(ReplicaId(ModelId("iris", "1"), 0), InputType.DOUBLES, deployment)


async def check(container: Container) -> None:
    """Ask for what scikit-learn says; and again, after an input that it cannot take."""
    replica = GrpcReplica(container.replica, InputType.DOUBLES, container.address, container.token)
    await replica.connect()
    outcome = await replica.predict([Input(row.tobytes()) for row in X])
    for output, expected in zip(outcome.outputs, MODEL.predict_proba(X), strict=True):
        assert output.value == pytest.approx(expected.tolist())
    with pytest.raises(Exception, match="an input has 1 numbers; send 4"):
        await replica.predict([Input(bytes(8))])
    await replica.predict([Input(X[0].tobytes())])
    await replica.close()


def words_of(container: Container) -> list[str]:
    """Its command line."""
    pid = container.identity.removeprefix("pid ")
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


async def ended_well(manager: ContainerManager, container: Container) -> None:
    """It drains when it is asked to, and its log says so."""
    await container.stop(10)
    assert (await container.wait()).code == 0
    await printed(partial(manager.logs, container.replica, 100), "Draining")


async def test_a_program_is_a_model(processes: ProcessManager, language: str, saved: Path) -> None:
    program = binary_of(language)
    container = await processes.start(
        spec(Deployment("process", "executable", str(program), model_data=str(saved)))
    )
    await check(container)
    assert words_of(container) == [str(program)], "what is told is told in its environment"
    await ended_well(processes, container)


async def test_a_program_that_cannot_load_its_model_says_why(
    processes: ProcessManager, language: str, spoilt: Path
) -> None:
    program = str(binary_of(language))
    deployment = Deployment("process", "executable", program, model_data=str(spoilt))
    end = await (await processes.start(spec(deployment))).wait()
    assert end.code == 1
    assert "iris could not be served" in end.lines[-1]


@pytest.mark.docker
async def test_an_image_is_a_model(docker: DockerManager, language: str, saved: Path) -> None:
    image = f"clipper/{language}-container:{clipper.__version__}"
    require_image(image)
    container = await docker.start(spec(Deployment("docker", "image", str(saved), image=image)))
    await check(container)
    await ended_well(docker, container)


@pytest.mark.docker
def test_an_image_has_a_user_without_rights(language: str) -> None:
    image = f"clipper/{language}-container:{clipper.__version__}"
    require_image(image)
    asked = ["docker", "run", "--rm", "--network=none", "--entrypoint", "id", image, "-u"]
    assert subprocess.check_output(asked, text=True).strip() == "10001"
