"""The builder's dealings with an engine: what it asks for, what it says, what it refuses."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest
from docker.errors import ContainerError, ImageNotFound

from clipper.deploy.docker import image_builder
from clipper.deploy.docker.image_builder import main
from clipper.deploy.docker.recipe import Recipe

BASE = "clipper/noop-container:1"
PLATFORM = {"python": "3.11", "machine": "x86_64", "libc": ["glibc", "2.36"], "installed": {}}


@dataclass
class FakeEngine:
    """An engine that has one image, and builds by saying what it was told to."""

    steps: Sequence[dict[str, Any]] = ({"stream": "Step 1/1\n"}, {"stream": "\n"})
    asked: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    ran: list[dict[str, Any]] = field(default_factory=list)
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.images = SimpleNamespace(get=self._get)
        self.containers = SimpleNamespace(run=self._run)
        self.api = SimpleNamespace(build=self._build)

    def _get(self, image: str) -> Any:
        if image != BASE:
            raise ImageNotFound(image)
        return SimpleNamespace(id="sha256:base")

    def _run(self, image: str, command: Sequence[str], **options: Any) -> bytes:
        self.ran.append({"image": image, **options})
        return json.dumps(PLATFORM).encode()

    def _build(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.asked = asked
        with tarfile.open(fileobj=asked["fileobj"]) as tar:
            self.files = tar.getnames()
        return iter(self.steps)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine()
    monkeypatch.setattr(docker, "from_env", lambda timeout: engine)
    return engine


def recipe(base: str = BASE, *requirements: str) -> str:
    labels = {"ai.clipper.instance": "mine"}
    return Recipe("clipper/m:1", base, requirements, labels=labels).json()


def test_an_image_is_built_without_a_network_and_says_what_it_is_of(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(recipe()) == 0
    assert capsys.readouterr().out == "Step 1/1\n"
    assert engine.asked["tag"] == "clipper/m:1"
    assert engine.asked["network_mode"] == "none"
    assert engine.asked["labels"] == {
        "ai.clipper.built": "1",
        "ai.clipper.base": "sha256:base",
        "ai.clipper.instance": "mine",
    }
    assert engine.files == ["Dockerfile"]
    assert engine.is_closed


def test_a_base_that_is_not_there_is_not_fetched_from_where_anybody_may_have_put_it(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(recipe("clipper/other-container:1")) == 1
    assert "there is no image clipper/other-container:1" in capsys.readouterr().out
    assert engine.asked == {}


def test_packages_are_for_what_runs_in_the_base_which_is_asked_in_a_container_of_no_rights(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[Any] = []

    def unpack(requirements: Sequence[str], folder: Path, platform: Any) -> None:
        unpacked.extend((requirements, platform.python))
        (folder / "pandas.py").touch()

    monkeypatch.setattr(image_builder, "unpack", unpack)
    assert main(recipe(BASE, "pandas>=2")) == 0
    assert unpacked == [("pandas>=2",), "3.11"]
    assert "packages/pandas.py" in engine.files
    (probe,) = engine.ran
    assert probe["image"] == BASE
    assert (probe["network_mode"], probe["read_only"], probe["cap_drop"]) == ("none", True, ["ALL"])
    assert probe["remove"] is True


def test_files_that_cannot_be_read_are_named_and_are_not_the_engines_fault(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    assert main(Recipe("clipper/m:1", BASE, model=tmp_path).json()) == 1
    printed = capsys.readouterr().out
    assert f"{tmp_path}/nowhere" in printed
    assert "engine" not in printed


@pytest.mark.parametrize("wrong", [OSError(28, "No space left"), ValueError("no JSON: No space")])
def test_what_pip_and_its_files_do_wrong_is_not_the_engines_fault_either(
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: Exception,
) -> None:
    def unpack(*asked: Any) -> None:
        raise wrong

    monkeypatch.setattr(image_builder, "unpack", unpack)
    assert main(recipe(BASE, "pandas>=2")) == 1
    printed = capsys.readouterr().out
    assert "clipper/m:1 cannot be built" in printed
    assert "No space" in printed
    assert "pip works" in printed
    assert "engine" not in printed


def test_a_base_in_which_no_python_runs_is_not_the_engines_fault_either(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*asked: Any, **options: Any) -> bytes:
        raise ContainerError(cast(Any, None), 1, "python3", BASE, "Segmentation fault")

    monkeypatch.setattr(engine.containers, "run", run)
    assert main(recipe(BASE, "pandas>=2")) == 1
    printed = capsys.readouterr().out
    assert "Segmentation fault" in printed
    assert "engine answers" not in printed


@pytest.mark.parametrize("call", ["images.get", "containers.run", "api.build"])
def test_an_engine_that_goes_away_is_told_apart(
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    call: str,
) -> None:
    def lost(*asked: Any, **options: Any) -> None:
        raise ConnectionError("reset by peer")

    part, _, name = call.partition(".")
    monkeypatch.setattr(getattr(engine, part), name, lost)
    monkeypatch.setattr(image_builder, "unpack", lambda *asked: None)
    assert main(recipe(BASE, "pandas>=2")) == 1
    assert "no Docker engine answers: reset by peer" in capsys.readouterr().out


def test_what_the_engine_could_not_do_is_told(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.steps = ({"stream": "Step 1/1\n"}, {"error": "no space left on device"})
    assert main(recipe()) == 1
    assert "clipper/m:1 cannot be built: no space left on device" in capsys.readouterr().out


def test_without_an_engine_it_says_what_to_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(timeout: float) -> None:
        raise docker.errors.DockerException("connection refused")

    monkeypatch.setattr(docker, "from_env", refuse)
    assert main(recipe()) == 1
    assert "Next:  Start Docker" in capsys.readouterr().out
