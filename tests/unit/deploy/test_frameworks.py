"""What a saved model is, by its looks alone."""

from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.deploy.frameworks import FRAMEWORKS, detect
from clipper.deploy.program import containers_dir, framework_code

HDF5 = b"\x89HDF\r\n\x1a\n"
UBJSON = b"{L\0\0\0\0\0\0\0\x07learner{"


@pytest.mark.parametrize(
    ("name", "content", "framework"),
    [
        ("model.joblib", b"", "sklearn"),
        ("model.pkl", b"", "sklearn"),
        ("model.pickle", b"", "sklearn"),
        ("model.skops", b"", "sklearn"),
        ("model.pt", b"", "pytorch"),
        ("model.pth", b"", "pytorch"),
        ("model.pt2", b"", "pytorch"),
        ("model.safetensors", b"", "pytorch"),
        ("pytorch_model.bin", b"PK\x03\x04", "pytorch"),
        ("model.onnx", b"", "onnx"),
        ("model.ubj", b"", "xgboost"),
        ("model.xgb", b"", "xgboost"),
        ("model.json", b'{"learner":{', "xgboost"),
        ("model.model", UBJSON, "xgboost"),
        ("model.bin", UBJSON, "xgboost"),
        ("model.txt", b"tree\nversion=v4\n", "lightgbm"),
        ("model.model", b"tree\r\nversion=v4\r\n", "lightgbm"),
        ("model.lgb", b"", "lightgbm"),
        ("model.keras", b"", "tensorflow"),
        ("model.h5", HDF5, "tensorflow"),
        ("model.hdf5", HDF5, "tensorflow"),
        ("predict.cloudpickle", b"", "closure"),
    ],
)
def test_a_file_is_known_by_its_name_or_its_first_bytes(
    tmp_path: Path, name: str, content: bytes, framework: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert detect(tmp_path / name) == framework
    for other in ("README.md", "requirements.txt", "input_example.json", "model.onnx.data"):
        (tmp_path / other).write_text("# nothing\n")
    assert detect(tmp_path) == framework


@pytest.mark.parametrize("start", [b"\x7fELF\x02", b"#!/bin/sh\n"])
def test_a_file_that_is_there_to_be_run_is_a_program(tmp_path: Path, start: bytes) -> None:
    program = tmp_path / "container"
    program.write_bytes(start)
    with pytest.raises(DeployError, match=r"looks like none of .*, a program,") as refused:
        detect(program)
    assert "executable" in refused.value.hint
    program.chmod(0o755)
    assert detect(program) == "executable"
    program.rename(tmp_path / "model.onnx")
    assert detect(tmp_path / "model.onnx") == "onnx", "its name says more than who may run it"


def test_what_may_be_run_but_is_no_program_is_none(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1 2 3\n")
    (tmp_path / "weights").chmod(0o777)
    with pytest.raises(DeployError, match="looks like none"):
        detect(tmp_path / "weights")


@pytest.mark.parametrize(
    ("files", "framework"),
    [
        ({"MLmodel": "", "saved_model.pb": "", "model.pkl": ""}, "mlflow"),
        ({"saved_model.pb": "", "keras_metadata.pb": "", "a.pkl": ""}, "tensorflow"),
        ({"config.json": '{"architectures": ["Bert"]}', "model.safetensors": ""}, "transformers"),
        ({"config.json": "{}", "model.safetensors": ""}, "pytorch"),
        ({"config.json": "[", "model.onnx": ""}, "onnx"),
        ({"func.cloudpickle": ""}, "closure"),
        ({"func.cloudpickle": "", "model.cloudpickle": ""}, "pytorch"),
        ({"func.cloudpickle": "", "model.pkl": ""}, "sklearn"),
    ],
)
def test_a_folder_is_known_by_its_marker_or_its_only_model(
    tmp_path: Path, files: dict[str, str], framework: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert detect(tmp_path) == framework


def test_a_class_in_a_file_is_a_model_of_ones_own() -> None:
    assert detect(Path("/models/net.py:Net")) == "python"


@pytest.mark.parametrize(
    ("name", "content", "lacks"),
    [
        ("model.h5", b"no HDF5", "a .h5 file is taken for Keras's, but this is no HDF5"),
        ("notes.txt", b"trees are nice\n", "but this does not begin with a line 'tree'"),
        ("settings.json", b'{"learner"'[1:], "XGBoost's, but this holds no learner"),
        ("data.bin", b"\0" * 100, "but this is no zip archive"),
        ("data.model", b"\0" * 100, "a .model file is taken for XGBoost's or LightGBM's"),
    ],
)
def test_what_only_has_the_name_is_told_what_it_lacks(
    tmp_path: Path, name: str, content: bytes, lacks: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DeployError) as refused:
        detect(tmp_path / name)
    assert str(tmp_path / name) in refused.value.message
    assert lacks in refused.value.message
    assert "--framework: python, noop" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        ("net.py", b"", "Name the class: net.py:ClassName."),
        ("model.sav", b"\x80\x04\x95", "--framework sklearn"),
        ("model.ckpt", b"PK\x03\x04", "--framework pytorch"),
    ],
)
def test_what_begins_as_a_model_does_is_told_what_to_say(
    tmp_path: Path, name: str, content: bytes, hint: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DeployError, match="looks like none of") as refused:
        detect(tmp_path / name)
    assert hint in refused.value.hint


def test_what_says_nothing_is_told_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    with pytest.raises(DeployError, match="looks like none of") as refused:
        detect(tmp_path / "model")
    assert ".onnx" in refused.value.message
    assert "MLmodel" in refused.value.message
    assert "--framework: python, noop" in refused.value.hint


def test_a_folder_of_several_models_is_refused_by_their_names(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.pkl"):
        (tmp_path / name).touch()
    with pytest.raises(DeployError, match=r"looks like several models, a\.onnx, b\.pkl"):
        detect(tmp_path)


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(DeployError, match=r"'/no/model\.onnx' cannot be looked at: No such file"):
        detect(Path("/no/model.onnx"))


def test_only_first_bytes_are_read(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DeployError, match="no learner"):
        detect(tmp_path / "large.json")


@pytest.mark.parametrize("framework", [name for name in FRAMEWORKS if name != "python"])
def test_every_framework_has_its_class(framework: str) -> None:
    code = framework_code(framework, containers_dir())
    assert f"class {code.class_name}(" in code.file.read_text(encoding="utf-8")
