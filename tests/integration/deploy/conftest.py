"""Models on disk, and daemons to be killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import docker
import pytest

from clipper.core.types import Deployment, InputType, ModelId, ReplicaId
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.process.manager import ProcessManager
from tests.fakes.engine import require_docker

ROOT = Path(__file__).parents[3]
Spec = Callable[..., ContainerSpec]
Daemon = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A file of models that everybody can read."""
    models = tmp_path / "models" / "models.py"
    models.parent.mkdir(mode=0o755)
    shutil.copy(ROOT / "tests" / "fakes" / "models.py", models)
    models.chmod(0o644)
    return models


@pytest.fixture
def spec(models: Path) -> Spec:
    """Makes the spec of one of the models."""

    def make(model: str, manager: str = "process", index: int = 0, data: str = "") -> ContainerSpec:
        deployment = Deployment(manager, "python", f"{models}:{model}", model_data=data)
        return ContainerSpec(ReplicaId(ModelId("m", "1"), index), InputType.FLOATS, deployment)

    return make


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[ProcessManager]:
    """An open process manager."""
    manager = ProcessManager(tmp_path / "data")
    await manager.open()
    yield manager
    await manager.close()


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine itself."""
    require_docker()
    with contextlib.closing(docker.from_env()) as client:
        yield client


@pytest.fixture
def daemon(tmp_path: Path, models: Path) -> Iterator[Daemon]:
    """Starts a daemon with containers, in a process group of its own."""
    daemons = []

    def start(kind: str, *names: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.fakes.daemon", kind, str(tmp_path / "data")]
        process = subprocess.Popen(
            [*command, *(f"{models}:{name}" for name in names)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        daemons.append(process)
        return process

    yield start
    for process in daemons:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
