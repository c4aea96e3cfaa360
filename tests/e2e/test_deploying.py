"""From a model to an endpoint in one call: saved models, live ones, and all that can go wrong."""

import os
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from clipper.admin.client import ClipperConnection, ClipperRefused
from tests.fakes.clipperd import Clipperd

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read at import
with warnings.catch_warnings(action="ignore"):  # it warns of its own type hints
    import mlflow.sklearn
    from mlflow.models import infer_signature

X, Y = load_iris(return_X_y=True)


def answers(clipper: ClipperConnection, name: str, *inputs: Any) -> list[Any]:
    """What an application of the model's own input type is told."""
    model = clipper.get_model_info(name, clipper.get_current_model_version(name))
    assert model is not None
    if name not in clipper.get_all_apps():
        clipper.register_application(name, model["input_type"], "none", slo_micros=10_000_000)
        clipper.link_model_to_app(name, name)
    predictions = clipper.predict_batch(name, list(inputs))
    assert [one.explanation for one in predictions if one.is_default] == []
    return [one.output for one in predictions]


def test_a_saved_estimator_needs_nothing_but_its_path(
    clipper: ClipperConnection, tmp_path: Path
) -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(X, Y)
    joblib.dump(forest, tmp_path / "forest.joblib")
    model = clipper.deploy_model("forest", 1, "auto", str(tmp_path / "forest.joblib"))
    assert model["deployment"]["framework"] == "sklearn"
    rows = X[::30].astype(np.float32)
    assert answers(clipper, "forest", *rows) == forest.predict(rows).tolist()
    info = clipper.get_model_info("forest", 1)
    assert info is not None
    assert "RandomForestClassifier" in info["description"]["model"]
    assert info["description"]["input_form"] == "float64[4]"
    assert "one of 0, 1, 2" in info["description"]["output_form"]


def test_another_method_of_it_may_answer(clipper: ClipperConnection, tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=500).fit(X, Y)
    joblib.dump(model, tmp_path / "m.joblib")
    clipper.deploy_model("proba", 1, "doubles", str(tmp_path / "m.joblib"), output="predict_proba")
    (probabilities,) = answers(clipper, "proba", X[0])
    assert probabilities == pytest.approx(model.predict_proba(X[:1])[0].tolist())


def test_a_pipeline_of_texts_says_that_it_takes_texts(
    clipper: ClipperConnection, tmp_path: Path
) -> None:
    texts, labels = ["good", "fine", "bad", "awful"], ["up", "up", "down", "down"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels)
    joblib.dump(model, tmp_path / "mood.pkl")
    deployed = clipper.deploy_model("mood", 1, "auto", str(tmp_path / "mood.pkl"))
    assert deployed["input_type"] == "strings"
    assert answers(clipper, "mood", "good", "awful") == ["up", "down"]


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_mlflows_is_served_by_its_signature(
    clipper: ClipperConnection, tmp_path: Path
) -> None:
    model = LogisticRegression(max_iter=500).fit(X, Y)
    folder = tmp_path / "model"
    signature = infer_signature(X, model.predict(X))
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=signature,
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",
    )
    deployed = clipper.deploy_model("flow", 1, "auto", str(folder))
    assert deployed["deployment"]["framework"] == "mlflow"
    assert "scikit-learn" in deployed["deployment"]["requirements"]
    assert deployed["input_type"] == "doubles"
    assert answers(clipper, "flow", *X[::50]) == model.predict(X[::50]).tolist()


def test_an_onnx_graph_says_what_it_takes(clipper: ClipperConnection, tmp_path: Path) -> None:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [given], [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, tmp_path / "relu.onnx")
    assert clipper.deploy_model("relu", 1, "auto", str(tmp_path / "relu.onnx"))["input_type"] == (
        "floats"
    )
    assert answers(clipper, "relu", [1.0, -1.0, 0.5]) == [[1.0, 0.0, 0.5]]
    clipper.deploy_live_model("relu", 2, "auto", model)
    assert answers(clipper, "relu", [-2.0, -1.0, 2.0]) == [[0.0, 0.0, 2.0]]


FACTOR = 3.0


def triple(inputs: Any) -> Any:
    """A function of this module, which no container can import."""
    return [float(FACTOR * each.sum()) for each in inputs]


def test_a_function_is_deployed_with_all_that_it_refers_to(clipper: ClipperConnection) -> None:
    clipper.deploy_python_closure("triple", 1, "doubles", triple)
    assert answers(clipper, "triple", [1.0, 2.0]) == [9.0]
    shift = 0.5
    clipper.deploy_python_closure("triple", 2, "auto", lambda inputs: inputs.sum(axis=1) + shift)
    assert answers(clipper, "triple", [1.0, 2.5]) == [4.0]


class Doubler(torch.nn.Module):  # type: ignore[misc]
    """A module whose class exists in this process only."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x


def test_a_live_module_predicts_by_itself_or_as_a_function_has_it(
    clipper: ClipperConnection,
) -> None:
    clipper.deploy_pytorch_model("double", 1, "floats", None, Doubler())
    assert answers(clipper, "double", [1.0, 2.0]) == [[2.0, 4.0]]

    def total(model: Any, inputs: Any) -> Any:
        import torch

        return model(torch.from_numpy(inputs)).sum(dim=1).detach().numpy()

    clipper.deploy_pytorch_model("double", 2, "floats", total, Doubler())
    assert answers(clipper, "double", [1.0, 2.5]) == [7.0]


def test_a_live_estimator_is_deployed_as_it_is(clipper: ClipperConnection) -> None:
    model = LinearRegression().fit(X[:, :1], X[:, 1])
    clipper.deploy_live_model("line", 1, "doubles", model)
    assert answers(clipper, "line", [5.0]) == pytest.approx(model.predict([[5.0]]).tolist())


def test_a_model_is_sent_where_the_daemon_cannot_see_it_and_goes_with_its_version(
    daemon: Clipperd, clipper: ClipperConnection, tmp_path: Path
) -> None:
    code = "from rule import FACTOR\nclass M:\n    def __init__(self, path):\n"
    code += "        self.shift = float(open(path).read())\n"
    code += "    def predict_batch(self, inputs):\n"
    code += "        return [FACTOR * float(x.sum()) + self.shift for x in inputs]\n"
    (tmp_path / "m.py").write_text(code)
    (tmp_path / "rule.py").write_text("FACTOR = 2\n")
    (tmp_path / "shift.txt").write_text("0.25")
    path = str(tmp_path / "m.py:M")
    clipper.deploy_model(
        "sent", 1, "floats", path, model_data=str(tmp_path / "shift.txt"), upload=True
    )
    for file in ("m.py", "rule.py", "shift.txt"):
        (tmp_path / file).unlink()
    clipper.set_num_replicas("sent", 2)
    assert answers(clipper, "sent", [1.0, 2.0]) == [6.25]
    deployment = clipper.get_all_models(verbose=True)
    (sent,) = [one["deployment"] for one in deployment if one["name"] == "sent"]
    assert sent["path"].startswith(str(daemon.settings["data_dir"]))


@pytest.mark.parametrize(
    ("file", "content", "framework", "reason"),
    [
        ("m.xyz", b"?", "", "framework"),
        ("m.joblib", b"no pickle", "", "cannot be read as a saved estimator"),
        ("m.onnx", b"no graph", "", "cannot be read"),
        ("m.txt", b"hello", "", "framework"),
        ("m.pt", b"no archive", "", "cannot be read"),
        ("m.joblib", b"x", "nosuch", "nosuch"),
    ],
)
def test_a_model_that_is_none_is_refused_with_the_file_and_the_reason(
    clipper: ClipperConnection,
    tmp_path: Path,
    file: str,
    content: bytes,
    framework: str,
    reason: str,
) -> None:
    (tmp_path / file).write_bytes(content)
    before = clipper.get_all_models()
    with pytest.raises(ClipperRefused, match=reason) as refusal:
        clipper.deploy_model("broken", 1, "auto", str(tmp_path / file), framework)
    assert refusal.value.hint
    assert "Traceback" not in refusal.value.message
    assert clipper.get_all_models() == before
    assert clipper.get_deployments() == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"requirements": ["--index-url=http://evil.example"]}, "options of pip"),
        ({"requirements": ["x @ file:///etc/passwd"]}, "URLs and paths"),
        ({"network": "bridge"}, "Docker"),
        ({"output": "no_such_method"}, "no_such_method"),
        ({"memory_bytes": 30 << 20}, "memory"),
    ],
)
def test_what_a_model_cannot_have_is_refused_by_name(
    clipper: ClipperConnection, tmp_path: Path, options: Any, reason: str
) -> None:
    joblib.dump(LinearRegression().fit(X, Y), tmp_path / "m.joblib")
    with pytest.raises(ClipperRefused, match=reason):
        clipper.deploy_model("greedy", 1, "doubles", str(tmp_path / "m.joblib"), **options)
    assert "greedy:1" not in clipper.get_all_models()


def test_packages_that_cannot_be_installed_are_a_failed_deploy_with_pips_words(
    clipper: ClipperConnection, tmp_path: Path
) -> None:
    joblib.dump(LinearRegression().fit(X, Y), tmp_path / "m.joblib")
    needs = ["no-such-package-of-anybodys==1.2.3"]
    with pytest.raises(ClipperRefused, match="no-such-package-of-anybodys") as refusal:
        clipper.deploy_model("packed", 1, "auto", str(tmp_path / "m.joblib"), requirements=needs)
    assert refusal.value.code == "deploy_failed"


def test_an_application_is_not_broken_by_a_version_that_takes_something_else(
    clipper: ClipperConnection, tmp_path: Path
) -> None:
    clipper.deploy_python_closure("kept", 1, "strings", lambda inputs: ["one"] * len(inputs))
    assert answers(clipper, "kept", "x") == ["one"]
    joblib.dump(LinearRegression().fit(X, Y), tmp_path / "m.joblib")
    with pytest.raises(ClipperRefused, match="incompatible"):
        clipper.deploy_model("kept", 2, "doubles", str(tmp_path / "m.joblib"))
    assert answers(clipper, "kept", "y") == ["one"]
