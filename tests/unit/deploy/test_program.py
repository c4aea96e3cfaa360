"""What a deployment runs is checked before anything is started."""

from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.core.types import Deployment
from clipper.deploy.program import (
    Code,
    containers_dir,
    executable,
    existing_path,
    framework_code,
    options_of,
    saved_model,
    target_of,
    user_code,
)


def test_a_python_model_is_a_class_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "my:model.py").touch()
    code = user_code(Deployment("process", "python", f"{tmp_path}/my:model.py:Mine"))
    assert str(code) == f"{tmp_path}/my:model.py:Mine"


@pytest.mark.parametrize("path", ["", "model.py", "model.py:", ":Mine", "model.txt:Mine", "a.py:1"])
def test_a_python_path_without_file_or_class_is_refused_with_its_form(path: str) -> None:
    with pytest.raises(DeployError, match="does not name a class") as refused:
        user_code(Deployment("process", "python", path))
    assert "file.py:ClassName" in refused.value.hint


def test_other_frameworks_need_no_code_of_the_users() -> None:
    assert user_code(Deployment("process", "noop", "")) is None
    assert user_code(Deployment("process", "pytorch", "/models/net.pt")) is None


def test_weights_of_any_framework_may_bring_their_class(tmp_path: Path) -> None:
    (tmp_path / "net.py").touch()
    (tmp_path / "net.safetensors").touch()
    weights = str(tmp_path / "net.safetensors")
    deployment = Deployment("process", "pytorch", f"{tmp_path}/net.py:Net", model_data=weights)
    assert str(user_code(deployment)) == f"{tmp_path}/net.py:Net"
    assert saved_model(deployment) == tmp_path / "net.safetensors"
    with pytest.raises(DeployError, match=r"the model's file '/no/net\.py' cannot be found"):
        user_code(Deployment("process", "pytorch", "/no/net.py:Net"))


def test_the_class_that_runs_is_the_users_only_where_it_is_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "net.py").touch()
    path = f"{tmp_path}/net.py:Net"
    assert str(target_of(Deployment("process", "python", path))) == path
    assert target_of(Deployment("process", "pytorch", path)).class_name == "PytorchContainer"


def test_a_container_is_told_of_the_class_and_the_output_where_there_are_any() -> None:
    deployment = Deployment("process", "pytorch", "net.py:Net", output="scores")
    assert options_of(deployment, Code(Path("/net.py"), "Net")) == {
        "CLIPPER_CONTAINER_OUTPUT": "scores",
        "CLIPPER_CONTAINER_CODE": "/net.py:Net",
    }
    assert options_of(Deployment("process", "noop", ""), None) == {}
    assert options_of(Deployment("process", "python", "m.py:M"), Code(Path("/m.py"), "M")) == {}


@pytest.mark.parametrize(
    ("framework", "class_name"), [("noop", "NoopContainer"), ("sklearn", "SklearnContainer")]
)
def test_a_framework_has_a_class_that_is_there(framework: str, class_name: str) -> None:
    code = framework_code(framework, containers_dir())
    assert code.class_name == class_name
    assert f"class {class_name}(" in code.file.read_text(encoding="utf-8")


@pytest.mark.parametrize("framework", ["prolog", "", "../noop", "noop/../noop", "No op"])
def test_an_unknown_framework_is_refused_with_those_there_are(framework: str) -> None:
    with pytest.raises(DeployError, match="there is no framework") as refused:
        framework_code(framework, containers_dir())
    assert refused.value.hint.startswith("Choose one of: closure, lightgbm, mlflow, noop, onnx, py")


def test_the_saved_model_is_the_path_or_for_python_the_model_data(tmp_path: Path) -> None:
    assert saved_model(Deployment("process", "sklearn", str(tmp_path))) == tmp_path
    python = Deployment("process", "python", "m.py:M", model_data=str(tmp_path))
    assert saved_model(python) == tmp_path
    assert saved_model(Deployment("process", "python", "m.py:M")) is None


def test_noop_and_images_of_the_users_own_need_no_saved_model() -> None:
    assert saved_model(Deployment("process", "noop", "/nowhere")) is None
    assert saved_model(Deployment("docker", "sklearn", "", image="mine:1")) is None
    assert user_code(Deployment("docker", "python", "", image="mine:1")) is None


def test_a_saved_model_that_is_missing_is_named() -> None:
    with pytest.raises(DeployError, match=r"the saved sklearn model '/no/such' cannot be found"):
        saved_model(Deployment("process", "sklearn", "/no/such"))
    with pytest.raises(DeployError, match="the saved sklearn model ''"):
        saved_model(Deployment("process", "sklearn", ""))


def test_a_program_is_a_file_that_may_be_run(tmp_path: Path) -> None:
    program = tmp_path / "container"
    program.touch(0o644)
    for path in (program, tmp_path):
        with pytest.raises(DeployError, match="cannot be run") as refused:
            executable(Deployment("process", "executable", str(path)))
        assert "chmod +x" in refused.value.hint
    with pytest.raises(DeployError, match="cannot be found"):
        executable(Deployment("process", "executable", f"{tmp_path}/none"))
    program.chmod(0o755)
    assert executable(Deployment("process", "executable", str(program))) == program


def test_a_program_loads_its_model_data_if_there_is_some(tmp_path: Path) -> None:
    assert saved_model(Deployment("process", "executable", "/bin/true")) is None
    data = Deployment("process", "executable", "/bin/true", model_data=str(tmp_path))
    assert saved_model(data) == tmp_path


def test_odd_paths_are_refused_like_missing_ones(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in ("nul\0byte", f"{tmp_path}/loop", f"{tmp_path}/{'x' * 5000}"):
        with pytest.raises(DeployError, match="cannot be found"):
            existing_path(path, "the file")
