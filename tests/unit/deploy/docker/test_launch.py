"""What the Docker engine is asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

import clipper
from clipper.core.errors import DeployError
from clipper.core.types import Deployment, InputType, ModelId, ReplicaId
from clipper.deploy.docker.launch import launch_of
from clipper.deploy.docker.request import Limits, digest
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
    launch = launch_of(spec("sklearn", str(saved)), "registry:5000/clipper", "token", Limits())
    assert launch.image == f"registry:5000/clipper/sklearn-container:{clipper.__version__}"
    assert launch.mounts == {"/model": saved}
    assert launch.environment["CLIPPER_CONTAINER_MODEL_DATA"] == "/model"
    assert launch.token == "token"
    assert launch.environment["CLIPPER_CONTAINER_INPUT_TYPE"] == "doubles"
    assert "CLIPPER_CONTAINER_TARGET" not in launch.environment


def test_a_file_is_mounted_alone_under_its_name(saved: Path) -> None:
    launch = launch_of(spec("sklearn", f"{saved}/model.joblib"), "clipper", "token", Limits())
    assert launch.mounts == {"/model/model.joblib": saved / "model.joblib"}
    assert launch.environment["CLIPPER_CONTAINER_MODEL_DATA"] == "/model/model.joblib"


def test_a_class_of_the_users_comes_with_its_data(saved: Path) -> None:
    launch = launch_of(
        spec("python", f"{saved}/mine.py:Mine", str(saved)), "clipper", "token", Limits()
    )
    assert launch.mounts == {"/code/mine.py": saved / "mine.py", "/model": saved}
    assert launch.environment["CLIPPER_CONTAINER_TARGET"] == "/code/mine.py:Mine"


def test_of_what_lies_beside_a_class_it_sees_what_it_may_import_only(saved: Path) -> None:
    for name in (".env", "data.csv", "notes/x.py", "lib/__init__.py", "tables.py"):
        (saved / name).parent.mkdir(exist_ok=True)
        (saved / name).touch()
    launch = launch_of(spec("python", f"{saved}/mine.py:Mine"), "clipper", "token", Limits())
    seen = ("lib", "mine.py", "tables.py")
    assert launch.mounts == {f"/code/{name}": saved / name for name in seen}


def test_a_neighbour_that_only_its_owner_reads_keeps_no_class_from_running(saved: Path) -> None:
    (saved / "private.py").touch(0o600)
    saved.chmod(0o700)
    mine = spec("python", f"{saved}/mine.py:Mine")
    launch_of(mine, "clipper", "token", Limits())
    (saved / "mine.py").chmod(0o600)
    with pytest.raises(DeployError, match=r"mine\.py cannot be read"):
        launch_of(mine, "clipper", "token", Limits())


def test_the_digest_of_a_class_changes_with_what_it_sees_and_with_nothing_else(
    saved: Path,
) -> None:
    def digest_now() -> str:
        launch = launch_of(spec("python", f"{saved}/mine.py:Mine"), "clipper", "t", Limits())
        return digest(launch, "network", "sha256:1")

    first = digest_now()
    (saved / ".env").touch()
    assert digest_now() == first
    (saved / "tables.py").touch()
    assert digest_now() != first


def test_weights_come_with_their_class_and_the_output_that_is_wanted(saved: Path) -> None:
    deployment = Deployment(
        "docker", "pytorch", f"{saved}/mine.py:Net", f"{saved}/model.joblib", output="scores"
    )
    weights = ContainerSpec(ReplicaId(ModelId("digits", "7"), 2), None, deployment)
    launch = launch_of(weights, "clipper", "token", Limits())
    assert launch.image == f"clipper/pytorch-container:{clipper.__version__}"
    assert launch.mounts == {
        "/code/mine.py": saved / "mine.py",
        "/model/model.joblib": saved / "model.joblib",
    }
    assert "CLIPPER_CONTAINER_TARGET" not in launch.environment
    assert launch.environment["CLIPPER_CONTAINER_CODE"] == "/code/mine.py:Net"
    assert launch.environment["CLIPPER_CONTAINER_OUTPUT"] == "scores"
    assert launch.environment["CLIPPER_CONTAINER_INPUT_TYPE"] == "any"


def test_an_image_of_the_users_replaces_the_frameworks() -> None:
    launch = launch_of(spec("noop", "", image="mine:1"), "clipper", "token", Limits())
    assert launch.image == "mine:1"
    assert launch.mounts == {}


def test_a_program_of_this_machine_is_not_run_in_an_image_of_whatever_kind(saved: Path) -> None:
    for image in ("", "mine:1"):
        with pytest.raises(DeployError, match="by the manager process only") as refused:
            launch_of(spec("executable", "/bin/sh", image=image), "clipper", "token", Limits())
        assert "--image" in refused.value.hint


def test_names_differ_between_containers_of_a_replica_and_say_whose_they_are() -> None:
    launches = [launch_of(spec("noop", ""), "clipper", "token", Limits()) for _ in range(2)]
    assert launches[0].name != launches[1].name
    assert all(launch.name.startswith("clipper-digits-7-2-") for launch in launches)
    assert launches[0].labels == {
        "ai.clipper.model": "digits",
        "ai.clipper.version": "7",
        "ai.clipper.replica": "2",
    }


def test_a_deployment_has_the_managers_limits_unless_it_has_its_own() -> None:
    plain = spec("noop", "")
    limits = Limits(memory_bytes=1 << 30, cpus=2.0)
    assert launch_of(plain, "clipper", "token", limits).limits == limits
    deployment = replace(plain.deployment, memory_bytes=1 << 20, cpus=0.5)
    own = launch_of(replace(plain, deployment=deployment), "clipper", "token", limits).limits
    assert own == replace(limits, memory_bytes=1 << 20, cpus=0.5)


def test_replicas_take_the_sets_of_gpus_in_turn() -> None:
    plain = spec("noop", "")
    deployment = replace(plain.deployment, gpus=("0", "1,2"))
    replicas = [ReplicaId(plain.replica.model, index) for index in range(3)]
    specs = [ContainerSpec(replica, plain.input_type, deployment) for replica in replicas]
    launches = [launch_of(each, "clipper", "token", Limits()) for each in specs]
    assert [launch.gpus for launch in launches] == ["0", "1,2", "0"]
    assert launch_of(plain, "clipper", "token", Limits()).gpus == ""


def test_the_network_of_a_deployment_is_asked_for() -> None:
    plain = spec("noop", "")
    networked = replace(plain, deployment=replace(plain.deployment, network="bridge"))
    assert launch_of(networked, "clipper", "token", Limits()).network == "bridge"


@pytest.mark.parametrize("image", ["Mine:1", "--privileged", "mine:1 other", "../mine"])
def test_an_image_that_is_no_reference_is_refused_before_the_engine_sees_it(image: str) -> None:
    with pytest.raises(DeployError, match="no reference to a container image"):
        launch_of(spec("noop", "", image=image), "clipper", "token", Limits())
