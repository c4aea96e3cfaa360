"""What the Docker engine is asked for."""

from pathlib import Path

import pytest

import clipper
from clipper.core.types import Deployment, InputType, ModelId, ReplicaId
from clipper.deploy.docker_launch import launch_of
from clipper.deploy.manager import ContainerSpec


def spec(framework: str, path: str, model_data: str = "", image: str = "") -> ContainerSpec:
    deployment = Deployment("docker", framework, path, model_data=model_data, image=image)
    return ContainerSpec(ReplicaId(ModelId("digits", "7"), 2), InputType.DOUBLES, deployment)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    folder.mkdir(mode=0o755)
    for name in ("model.joblib", "mine.py"):
        (folder / name).touch()
        (folder / name).chmod(0o644)
    return folder


def test_a_framework_runs_in_its_image_of_this_release(saved: Path) -> None:
    launch = launch_of(spec("sklearn", str(saved)), "registry:5000/clipper", "token")
    assert launch.image == f"registry:5000/clipper/sklearn-container:{clipper.__version__}"
    assert launch.mounts == {"/model": saved}
    assert launch.environment["CLIPPER_CONTAINER_MODEL_DATA"] == "/model"
    assert launch.environment["CLIPPER_CONTAINER_TOKEN"] == "token"
    assert launch.environment["CLIPPER_CONTAINER_INPUT_TYPE"] == "doubles"
    assert "CLIPPER_CONTAINER_TARGET" not in launch.environment


def test_a_file_is_mounted_alone_under_its_name(saved: Path) -> None:
    launch = launch_of(spec("sklearn", f"{saved}/model.joblib"), "clipper", "token")
    assert launch.mounts == {"/model/model.joblib": saved / "model.joblib"}
    assert launch.environment["CLIPPER_CONTAINER_MODEL_DATA"] == "/model/model.joblib"


def test_a_class_of_the_users_comes_with_its_folder_and_its_data(saved: Path) -> None:
    launch = launch_of(spec("python", f"{saved}/mine.py:Mine", str(saved)), "clipper", "token")
    assert launch.mounts == {"/code": saved, "/model": saved}
    assert launch.environment["CLIPPER_CONTAINER_TARGET"] == "/code/mine.py:Mine"


def test_weights_come_with_their_class_and_the_output_that_is_wanted(saved: Path) -> None:
    deployment = Deployment(
        "docker", "pytorch", f"{saved}/mine.py:Net", f"{saved}/model.joblib", output="scores"
    )
    weights = ContainerSpec(ReplicaId(ModelId("digits", "7"), 2), None, deployment)
    launch = launch_of(weights, "clipper", "token")
    assert launch.image == f"clipper/pytorch-container:{clipper.__version__}"
    assert launch.mounts == {"/code": saved, "/model/model.joblib": saved / "model.joblib"}
    assert "CLIPPER_CONTAINER_TARGET" not in launch.environment
    assert launch.environment["CLIPPER_CONTAINER_CODE"] == "/code/mine.py:Net"
    assert launch.environment["CLIPPER_CONTAINER_OUTPUT"] == "scores"
    assert launch.environment["CLIPPER_CONTAINER_INPUT_TYPE"] == "any"


def test_an_image_of_the_users_replaces_the_frameworks() -> None:
    launch = launch_of(spec("noop", "", image="mine:1"), "clipper", "token")
    assert launch.image == "mine:1"
    assert launch.mounts == {}


def test_names_differ_between_containers_of_a_replica_and_say_whose_they_are() -> None:
    launches = [launch_of(spec("noop", ""), "clipper", "token") for _ in range(2)]
    assert launches[0].name != launches[1].name
    assert all(launch.name.startswith("clipper-digits-7-2-") for launch in launches)
    assert launches[0].labels == {
        "ai.clipper.model": "digits",
        "ai.clipper.version": "7",
        "ai.clipper.replica": "2",
    }
