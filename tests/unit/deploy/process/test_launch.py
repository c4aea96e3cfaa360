"""What a process replica is told, what it is given, and what it needs."""

from dataclasses import replace
from pathlib import Path

import pytest

from clipper.core.errors import DeployError, InvalidInput
from clipper.core.types import Deployment, InputType, ModelId, ReplicaId
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.process.interpreter import Interpreter
from clipper.deploy.process.launch import (
    command_of,
    gpu_variables,
    packages_of,
    program_of,
    settings_of,
    variables_of,
)

PYTHON = Path("/env/bin/python")
BARE = Interpreter(PYTHON, "cpython-311", frozenset({"python", "noop"}))
FULL = Interpreter(PYTHON, "cpython-311", frozenset({"python", "noop", "sklearn"}))


def spec(deployment: Deployment, index: int = 0) -> ContainerSpec:
    return ContainerSpec(ReplicaId(ModelId("m", "1"), index), InputType.FLOATS, deployment)


def noop(**fields: object) -> Deployment:
    return Deployment("process", "noop", "", **fields)  # type: ignore[arg-type]


def names(packages: tuple[str, ...]) -> list[str]:
    return sorted(package.partition(">")[0] for package in packages)


def test_a_model_that_asks_for_nothing_runs_where_its_framework_is() -> None:
    assert packages_of(Deployment("process", "sklearn", "/m"), FULL) == ()
    assert packages_of(Deployment("process", "python", "/m.py:M"), BARE) == ()


def test_a_framework_that_is_missing_is_installed_with_what_the_sdk_needs() -> None:
    packages = packages_of(Deployment("process", "sklearn", "/m"), BARE)
    assert {"grpcio", "numpy", "protobuf"} < set(names(packages))
    assert {"joblib", "scikit-learn"} < set(names(packages))


def test_a_models_own_requirements_come_with_the_sdks_and_the_frameworks() -> None:
    deployment = Deployment("process", "sklearn", "/m", requirements=("SciPy", "# for sparse"))
    assert {"grpcio", "scikit-learn", "scipy"} < set(names(packages_of(deployment, FULL)))


def test_requirements_that_the_managers_interpreter_meets_need_no_environment() -> None:
    met = replace(FULL, packages={"scipy": "1.17.1"})
    deployment = Deployment("process", "sklearn", "/m", requirements=("SciPy>=1.10",))
    assert packages_of(deployment, met) == ()
    assert packages_of(replace(deployment, requirements=("scipy<1.10",)), met)
    assert packages_of(deployment, replace(met, frameworks=frozenset({"python"})))


def test_a_package_that_the_model_names_takes_the_place_of_the_frameworks() -> None:
    deployment = Deployment("process", "xgboost", "/m", requirements=("xgboost==3.0",))
    assert "xgboost-cpu" in names(packages_of(replace(deployment, requirements=()), BARE))
    found = packages_of(deployment, BARE)
    assert "xgboost==3.0" in found
    assert "xgboost-cpu" not in names(found)
    has_it = replace(BARE, frameworks=frozenset({"xgboost"}), packages={"xgboost-cpu": "3.0"})
    assert packages_of(deployment, has_it) == ()


def test_a_package_that_the_model_names_for_another_system_takes_no_place() -> None:
    wanted = ("xgboost==3.0; sys_platform == 'none'", "numpy==1.0; python_version < '3'", "six")
    deployment = Deployment("process", "xgboost", "/m", requirements=wanted)
    assert {"xgboost-cpu", "numpy"} < set(names(packages_of(deployment, BARE)))


def test_a_requirement_that_is_none_is_refused_before_anything_is_started() -> None:
    with pytest.raises(InvalidInput, match="--index-url"):
        program_of(spec(noop(requirements=("--index-url=http://evil.example",))), FULL)


@pytest.mark.parametrize("field", [{"image": "mine:1"}, {"network": "lan"}, {"cpus": 0.5}])
def test_what_only_docker_gives_is_refused_by_name(field: dict[str, object]) -> None:
    with pytest.raises(DeployError, match=next(iter(field))) as refused:
        program_of(spec(noop(**field)), FULL)
    assert "docker" in refused.value.hint


def test_gpus_are_dealt_to_the_replicas_in_turn() -> None:
    dealt = [spec(noop(gpus=("0,1", "2,3")), index) for index in range(3)]
    variables = [variables_of(one, PYTHON, Path("/spare")) for one in dealt]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in variables] == ["0,1", "2,3", "0,1"]


def test_who_asks_for_all_gpus_or_says_nothing_has_none_hidden() -> None:
    assert gpu_variables("") == gpu_variables("all") == {}


def test_a_replica_is_told_where_to_listen_and_what_to_load() -> None:
    program = program_of(spec(noop()), FULL)
    words = command_of(spec(noop()), PYTHON, program, Path("/run/1.sock"))
    assert words[:4] == ["/env/bin/python", "-P", "-m", "clipper_container"]
    assert words[4].endswith("noop_container.py:NoopContainer")
    assert words[words.index("--listen") + 1] == "unix:/run/1.sock"


def test_a_program_of_the_users_own_is_told_the_same_by_variables(tmp_path: Path) -> None:
    deployment = Deployment("process", "executable", "/bin/sh", model_data=str(tmp_path))
    program = program_of(spec(deployment), BARE)
    socket = Path("/run/1.sock")
    shell = str(Path("/bin/sh").resolve())
    assert command_of(spec(deployment), PYTHON, program, socket) == [shell]
    assert settings_of(spec(deployment), program, socket) == {
        "CLIPPER_CONTAINER_LISTEN": "unix:/run/1.sock",
        "CLIPPER_CONTAINER_INPUT_TYPE": "floats",
        "CLIPPER_CONTAINER_NAME": "m",
        "CLIPPER_CONTAINER_VERSION": "1",
        "CLIPPER_CONTAINER_MODEL_DATA": str(tmp_path),
    }
    assert settings_of(spec(noop()), program_of(spec(noop()), FULL), socket) == {}


def test_a_program_of_the_users_own_has_no_python_packages() -> None:
    deployment = Deployment("process", "executable", "/bin/sh", requirements=("scipy",))
    with pytest.raises(DeployError, match="m:1#0 is a program") as refused:
        program_of(spec(deployment), FULL)
    assert "without requirements" in refused.value.hint


def test_a_replica_finds_the_programs_of_its_own_environment_first() -> None:
    variables = variables_of(spec(noop(gpus=("1",))), PYTHON, Path("/run"))
    assert variables["PATH"].startswith("/env/bin:")
    assert variables["CUDA_VISIBLE_DEVICES"] == "1"


def test_a_user_without_a_home_gets_the_spare_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert variables_of(spec(noop()), PYTHON, Path("/run"))["HOME"] == "/run"
