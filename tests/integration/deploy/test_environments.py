"""Models with packages of their own: real virtual environments, real pips, and no index."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks
from clipper.core.types import Deployment, InputType, ModelId, ReplicaId
from clipper.deploy.frameworks import FRAMEWORKS, Framework
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.process.manager import ProcessManager
from tests.fakes.watching import eventually, is_alive, printed
from tests.fakes.wheels import pack_installed, write_source, write_wheel

Spec = Callable[..., ContainerSpec]

HANGS = """
import os, sys, time
from pathlib import Path
from typing import cast

def get_requires_for_build_wheel(config_settings=None):
    for leaves in (False, True):
        if os.fork() == 0:
            if leaves:
                os.setsid()
            Path("{folder}", str(os.getpid())).touch()
            time.sleep(3600)
    time.sleep(3600)
"""
"""A build that never ends; of its two children one leaves its session."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip finds: the SDK's needs and a few packages of no use."""
    folder = tmp_path_factory.mktemp("wheels")
    pack_installed(folder, "grpcio", "numpy", "protobuf")
    write_wheel(folder, "greeting", "1.0", "WORD = 'hello'")
    write_wheel(folder, "greeting", "2.0", "WORD = 'good day'")
    write_wheel(folder, "lonely", "1.0", "", needs="no-such-package>=3")
    return folder


@pytest.fixture
def pip(wheels: Path) -> dict[str, str]:
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_NO_CACHE_DIR": "1"}


@pytest.fixture
async def manager(tmp_path: Path, pip: dict[str, str]) -> AsyncIterator[ProcessManager]:
    manager = ProcessManager(tmp_path / "data", pip_variables=pip)
    await manager.open()
    yield manager
    await manager.close()


@pytest.fixture
def needing(spec: Spec) -> Callable[..., ContainerSpec]:
    """Makes the spec of one of the models with requirements."""

    def make(*requirements: str, model: str = "Imports", index: int = 0) -> ContainerSpec:
        made = spec(model, index=index)
        return replace(made, deployment=replace(made.deployment, requirements=requirements))

    return make


def environments(data: Path) -> list[Path]:
    """Those that are whole."""
    return [entry for entry in (data / "environments").iterdir() if entry.is_symlink()]


async def hanging(folder: Path) -> list[int]:
    """The children of a build that hangs, as soon as it has both."""

    def children() -> list[int]:
        return [int(file.name) for file in folder.iterdir()]

    assert await eventually(lambda: len(children()) == 2, 60)
    assert all(map(is_alive, children()))
    return children()


async def test_a_model_finds_its_packages_and_none_of_the_daemons_and_shares_them(
    manager: ProcessManager, needing: Spec, tmp_path: Path
) -> None:
    spec = needing("Greeting<2", "# a word")
    first = await manager.start(spec)
    logs = partial(manager.logs, first.replica, 1000)
    assert await printed(logs, "greeting hello")
    assert await printed(logs, "pytest is missing")
    assert await printed(logs, "Serving")
    assert "Successfully installed" in "\n".join(await logs())
    (environment,) = environments(tmp_path / "data")
    built = environment.resolve()
    second = await manager.start(needing("greeting < 2", index=1))
    assert await printed(partial(manager.logs, second.replica, 1000), "greeting hello")
    assert [each.resolve() for each in environments(tmp_path / "data")] == [built]

    await first.stop(5)
    await manager.forget([])
    assert built.exists(), "a replica runs in it"
    await second.stop(5)
    await manager.forget([spec.deployment])
    assert built.exists(), "a version needs it"
    await manager.forget([Deployment("process", "noop", "", requirements=("-e .",))])
    assert not list((tmp_path / "data" / "environments").iterdir())
    assert "greeting hello" in await logs(), "its log stays"


async def test_a_framework_that_the_daemon_lacks_is_installed_of_itself(
    manager: ProcessManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await manager.close()
    row = replace(FRAMEWORKS["noop"], requirements=("greeting",), modules=("greeting",))
    monkeypatch.setitem(cast(dict[str, Framework], FRAMEWORKS), "noop", row)
    await manager.open()
    deployment = Deployment("process", "noop", "")
    replica = ReplicaId(ModelId("m", "1"), 0)
    container = await manager.start(ContainerSpec(replica, InputType.FLOATS, deployment))
    logs = partial(manager.logs, replica, 1000)
    assert await printed(logs, "Serving")
    assert await printed(logs, "greeting-2.0")
    await container.stop(5)


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [("no-such-package", "no-such-package"), ("lonely", "no-such-package>=3")],
)
async def test_packages_that_cannot_be_had_are_told_in_pips_words_and_leave_nothing(
    manager: ProcessManager, needing: Spec, tmp_path: Path, requirement: str, reason: str
) -> None:
    spec = needing(requirement)
    with pytest.raises(DeployError, match="pip exited with code 1") as refused:
        await manager.start(spec)
    assert reason in refused.value.message
    assert refused.value.hint
    assert await printed(partial(manager.logs, spec.replica, 1000), "ERROR")
    assert not list((tmp_path / "data" / "environments").iterdir())


async def test_a_start_that_is_given_up_ends_pip_and_all_that_it_started(
    manager: ProcessManager, needing: Spec, wheels: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    write_source(wheels, "hanging", HANGS.format(folder=pids))
    tasks = Tasks()
    starting = tasks.spawn("start", manager.start(needing("hanging")), is_awaited=True)
    children = await hanging(pids)
    starting.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait([starting])
    assert starting.cancelled()
    assert not any(map(is_alive, children))
    assert not list((tmp_path / "data" / "environments").iterdir())


async def test_a_build_of_a_daemon_that_is_killed_ends_and_looks_like_nothing_to_the_next(
    daemon: Callable[..., "subprocess.Popen[str]"],
    pip: dict[str, str],
    wheels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    write_source(wheels, "hanging", HANGS.format(folder=pids))
    for name, value in pip.items():
        monkeypatch.setenv(name, value)
    process = daemon("process", "Imports+hanging")
    children = await hanging(pids)
    os.kill(process.pid, signal.SIGKILL)
    assert await eventually(lambda: not any(map(is_alive, children)), 10)
    folder = tmp_path / "data" / "environments"
    assert len(list(folder.iterdir())) == 1
    manager = ProcessManager(tmp_path / "data")
    await manager.open()
    assert not list(folder.iterdir())
    await manager.close()


async def test_an_interpreter_without_venv_is_told_of_with_what_to_do(
    tmp_path: Path, needing: Spec
) -> None:
    python = tmp_path / "python"
    fails = 'case "$*" in *venv*) echo no ensurepip; exit 1;; esac'
    python.write_text(f'#!/bin/sh\n{fails}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    manager = ProcessManager(tmp_path / "data", str(python))
    await manager.open()
    with pytest.raises(DeployError, match="no ensurepip") as refused:
        await manager.start(needing("greeting"))
    assert "python3-venv" in refused.value.hint
    await manager.close()
