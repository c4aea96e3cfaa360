"""`clipper-admin model build`, then `model deploy`: with a real Docker engine and a real pip."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tests.fakes.clipperd import Clipperd, clipperd, plain_environment, script
from tests.fakes.engine import require_docker
from tests.fakes.wheels import write_wheel

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
SHOUT = """
from clipper_container import ModelContainer
from endings import ENDING
from greeting import WORD

class Shout(ModelContainer):
    def predict_batch(self, inputs):
        return [f"{WORD} {text.upper()}{ENDING}" for text in inputs]
"""


@pytest.fixture
def images() -> Iterator[list[str]]:
    """Images that are removed after the test."""
    images: list[str] = []
    yield images
    if images:
        subprocess.run(["docker", "image", "rm", *images], check=True, capture_output=True)


@pytest.fixture
def daemon(tmp_path: Path, images: list[str]) -> Iterator[Clipperd]:
    """A daemon that ends before the images go that its containers use."""
    with clipperd(tmp_path) as daemon:
        yield daemon


def admin(daemon: Clipperd, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    wheels = folder / "wheels"
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": "/dev/null"}
    command = [*script("clipper-admin", "clipper.admin.cli"), *arguments]
    where = {"CLIPPER_URL": daemon.url, "CLIPPER_QUERY_URL": daemon.query_url}
    return subprocess.run(
        command,
        cwd=folder,
        env=plain_environment(folder) | pip | where,
        capture_output=True,
        text=True,
        check=False,
    )


def deploy(
    daemon: Clipperd, folder: Path, build: "subprocess.CompletedProcess[str]", input_type: str
) -> None:
    """What the build says comes next."""
    assert build.returncode == 0, build.stderr
    (command,) = [line for line in build.stderr.splitlines() if line.startswith("Next: ")]
    words = command.removeprefix("Next: clipper-admin ").split()
    deployed = admin(daemon, folder, *words, "--input-type", input_type)
    assert deployed.returncode == 0, deployed.stderr


def test_a_class_with_its_neighbours_and_packages_is_served_from_its_image(
    daemon: Clipperd, tmp_path: Path, images: list[str]
) -> None:
    require_docker()
    (tmp_path / "wheels").mkdir()
    write_wheel(tmp_path / "wheels", "greeting", "1.0", "WORD = 'hello'")
    (tmp_path / "shout.py").write_text(SHOUT)
    (tmp_path / "endings.py").write_text("ENDING = '!'")
    images.append("clipper-test/shout:1")
    build = admin(
        *(daemon, tmp_path, "model", "build", "shout", "1", "shout.py:Shout"),
        *("--requirement", "greeting", "--image", images[0]),
    )
    assert "Step 1/" in build.stderr
    (tmp_path / "shout.py").unlink()  # all of it is in the image
    deploy(daemon, tmp_path, build, "strings")
    with daemon.connect() as clipper:
        clipper.register_application("texts", "strings", "", 10_000_000)
        clipper.link_model_to_app("texts", "shout")
        assert clipper.predict("texts", "you").output == "hello YOU!"


def test_a_base_that_is_not_here_is_named_and_not_fetched_from_anywhere(
    daemon: Clipperd, tmp_path: Path
) -> None:
    require_docker()
    asked = ("model", "build", "m", "1", "", "--framework", "noop", "--prefix", "nobodys")
    build = admin(daemon, tmp_path, *asked)
    assert build.returncode == 4
    assert "there is no image nobodys/noop-container" in build.stderr
    assert "docker/build.sh" in build.stderr


def test_a_saved_model_is_served_from_its_image(
    daemon: Clipperd, tmp_path: Path, images: list[str]
) -> None:
    require_docker("sklearn")
    model = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([1.0, 3.0]))
    joblib.dump(model, tmp_path / "line.joblib")
    images.append("clipper-test/line:2")
    build = admin(
        *(daemon, tmp_path, "model", "build", "line", "2", "line.joblib", "--image", images[0])
    )
    (tmp_path / "line.joblib").unlink()
    deploy(daemon, tmp_path, build, "doubles")
    with daemon.connect() as clipper:
        clipper.register_application("numbers", "doubles", "-1", 10_000_000)
        clipper.link_model_to_app("numbers", "line")
        assert clipper.predict("numbers", [10.0]).output == pytest.approx(21)
