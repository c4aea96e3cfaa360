"""A build with an interpreter that is a shell script: what it is told, and what is told of it."""

import itertools
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import LogFile
from clipper.deploy.process import building
from clipper.deploy.process.building import Builder

PIP = """#!/bin/sh
echo "told: $*"
env | sort
"""
VENV = """#!/bin/sh
mkdir -p "$4/bin"
cp "{folder}/pip" "$4/bin/python"
echo "made $4"
"""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = LogFile(folder / "log")
        self.place = folder / "environment"
        self.script("pip", PIP)
        self.script("python", VENV.format(folder=folder))

    def script(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    async def build(self, *requirements: str, variables: Mapping[str, str] | None = None) -> None:
        given = {"PATH": "/usr/bin:/bin"} if variables is None else variables
        python = self.folder / "python"
        mark = f"test {os.getpid()}."  # another run of the tests must not end our children
        builder = Builder(python, given, Lifeline(mark), mark, itertools.count())
        await builder.build(self.place, requirements, self.log)

    @property
    def lines(self) -> list[str]:
        return self.log.tail(1000)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_pip_is_told_what_to_install_and_takes_none_of_it_for_an_option(
    bench: Bench,
) -> None:
    await bench.build("numpy>=2", "scipy")
    assert bench.lines[0] == f"made {bench.place}"
    (told,) = [line for line in bench.lines if line.startswith("told: ")]
    assert told.startswith("told: -I -m pip install --no-input")
    assert told.endswith(" -- numpy>=2 scipy")


async def test_pip_gets_its_own_variables_and_no_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPPER_ADMIN_TOKEN", "secret")
    await bench.build("numpy", variables={"PATH": "/usr/bin:/bin", "PIP_INDEX_URL": "http://index"})
    assert "PIP_INDEX_URL=http://index" in bench.lines
    assert not [line for line in bench.lines if "secret" in line]


async def test_a_pip_that_fails_is_quoted(bench: Bench) -> None:
    bench.script("pip", "#!/bin/sh\necho ERROR: no such package\nexit 1\n")
    with pytest.raises(DeployError, match="pip exited with code 1") as refused:
        await bench.build("numpi")
    assert refused.value.message.endswith("its last lines:\n  ERROR: no such package")
    assert "names and versions" in refused.value.hint


async def test_a_venv_that_fails_is_quoted_and_pip_is_not_tried(bench: Bench) -> None:
    bench.script("python", "#!/bin/sh\necho ensurepip is not available\nexit 1\n")
    with pytest.raises(DeployError, match="venv exited with code 1") as refused:
        await bench.build("numpy")
    assert "ensurepip is not available" in refused.value.message
    assert "python3-venv" in refused.value.hint


async def test_a_build_without_end_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "BUILD_MAX_S", 0.5)
    bench.script("pip", "#!/bin/sh\nsleep 3600\n")
    with pytest.raises(DeployError, match=r"not installed within 0\.5 s") as refused:
        await bench.build("numpy")
    assert refused.value.hint


async def test_what_cannot_be_started_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Too many open files")

    monkeypatch.setattr(building, "Child", refuse)
    with pytest.raises(DeployError, match="venv cannot be started: Too many open files"):
        await bench.build("numpy")
