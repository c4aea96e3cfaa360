"""The builder as a child: its output in the log, its failure in the error, its end with ours."""

import asyncio
import sys
import uuid
from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.deploy.docker import image_build
from clipper.deploy.docker.image_build import ImageBuilder
from clipper.deploy.docker.recipe import Recipe
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import LogFile
from tests.fakes.watching import eventually, is_alive

RECIPE = Recipe("clipper/environment:x", "clipper/python-container:1", ("pandas",))


@pytest.fixture
def builder() -> ImageBuilder:
    mark = f"{uuid.uuid4().hex}."  # what bears it is killed, whoever started it
    return ImageBuilder(Lifeline(mark), mark, {"PIP_INDEX_URL": "somewhere"})


@pytest.fixture
def file(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path / "0.log")


def program(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(image_build, "COMMAND", (sys.executable, "-c", code))


async def test_the_builder_gets_the_recipe_and_what_pip_needs_and_prints_into_the_log(
    builder: ImageBuilder, file: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, "import os, sys; print(sys.argv[1]); print(os.environ['PIP_INDEX_URL'])")
    await builder.build(RECIPE, file)
    recipe, index = file.tail(10)
    assert Recipe.parse(recipe) == RECIPE
    assert index == "somewhere"


async def test_a_failed_build_says_why(
    builder: ImageBuilder, file: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, "import sys; print('Error: no such wheel'); sys.exit(1)")
    with pytest.raises(DeployError, match="no such wheel") as failed:
        await builder.build(RECIPE, file)
    assert failed.value.hint


async def test_a_build_that_is_given_up_leaves_no_process(
    builder: ImageBuilder, file: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    building = asyncio.ensure_future(builder.build(RECIPE, file))
    assert await eventually(lambda: bool(file.tail(1)), 30)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert not is_alive(int(file.tail(1)[0]))
