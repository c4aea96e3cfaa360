"""ONNX models of what was trained elsewhere, as it predicts there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import onnx
import onnxruntime
import pytest
from clipper_container import LoadError
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from tests.integration.frameworks.conftest import Load, Refuse, Serve

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def save(
    path: Path, nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], **tensors: Any
) -> None:
    """Write a graph with constants in it."""
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=8), path)


def value(name: str, kind: int, *shape: Any) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


@pytest.fixture
def classifier(table: tuple[Any, Any]) -> Any:
    return LogisticRegression().fit(*table)


@pytest.fixture
def converted(classifier: Any, tmp_path: Path) -> Path:
    """The classifier as converters write it: labels, and probabilities as a map for each input."""
    linear = helper.make_node(
        "LinearClassifier",
        ["X"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        classlabels_ints=[0, 1, 2],
        coefficients=classifier.coef_.ravel().tolist(),
        intercepts=classifier.intercept_.tolist(),
        post_transform="SOFTMAX",
    )
    maps = helper.make_node(
        "ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]
    )
    to_float = helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, None))
    sequence = helper.make_value_info("probabilities", helper.make_sequence_type_proto(to_float))
    outputs = [value("label", INT64, None), sequence]
    save(tmp_path / "model.onnx", [linear, maps], [value("X", FLOAT, None, 4)], outputs)
    return tmp_path


async def test_a_converted_classifier_answers_with_its_labels(
    serve: Serve, converted: Path, classifier: Any, table: tuple[Any, Any]
) -> None:
    served = await serve("onnx", converted)
    inputs = table[0][:9]
    assert await served.predict(inputs) == classifier.predict(inputs).tolist()
    said = served.description
    assert said.model == f"onnxruntime {onnxruntime.__version__} on CPU, model"
    assert (said.input_type, said.input_form, said.output_form) == (2, "float32[4]", "int64")


def test_probabilities_are_there_for_the_asking(
    load: Load, converted: Path, classifier: Any, table: tuple[Any, Any]
) -> None:
    inputs = table[0][:3]
    answers = load("onnx", converted, "doubles", output="probabilities").predict_batch(inputs)
    scores = [[each[label] for label in (0, 1, 2)] for each in answers]
    np.testing.assert_allclose(scores, classifier.predict_proba(inputs), rtol=1e-5)


async def test_several_inputs_are_one_json_object(serve: Serve, tmp_path: Path) -> None:
    inputs = [value("size", FLOAT, "batch", 2), value("count", INT64, "batch")]
    nodes = [
        helper.make_node("ReduceSum", ["size", "axis"], ["sum"], keepdims=0),
        helper.make_node("Identity", ["count"], ["same"]),
    ]
    outputs = [value("sum", FLOAT, "batch"), value("same", INT64, "batch")]
    save(tmp_path / "two.onnx", nodes, inputs, outputs, axis=np.array([1]))
    served = await serve("onnx", tmp_path)
    assert served.description.input_form == "{size: float32[2], count: int64}"
    objects = [{"size": [1, 2], "count": 3}, {"size": [0.5, 0], "count": -1}]
    expected = [{"sum": 3.0, "same": 3}, {"sum": 0.5, "same": -1}]
    assert await served.predict(objects, "json") == expected
    lacking = await served.result([{"size": [1, 2]}], "json")
    assert "Input 0 of the batch is no JSON object with {size: float32[2]" in lacking.error.message
    wrong = await served.result([{"size": [1, 2], "count": 0.5}], "json")
    assert "takes whole numbers, int64" in wrong.error.message


def test_texts_are_taken(load: Load, tmp_path: Path) -> None:
    words = {"keys_strings": ["good", "bad"], "values_int64s": [1, 0], "default_int64": -1}
    node = helper.make_node("LabelEncoder", ["t"], ["i"], domain="ai.onnx.ml", **words)
    inputs, outputs = [value("t", STRING, None, 1)], [value("i", INT64, None, 1)]
    save(tmp_path / "words.onnx", [node], inputs, outputs)
    model = load("onnx", tmp_path, "strings")
    assert model.predict_batch(["bad", "good", "so"]).tolist() == [[0], [1], [-1]]
    with pytest.raises(LoadError, match="takes strings, but it was deployed for floats"):
        load("onnx", tmp_path, "floats")


def test_a_model_for_one_size_of_batch_takes_any(load: Load, tmp_path: Path) -> None:
    node = helper.make_node("Mul", ["x", "two"], ["y"])
    fixed = value("x", FLOAT, 2, 3), value("y", FLOAT, 2, 3)
    save(tmp_path / "fixed.onnx", [node], fixed[:1], fixed[1:], two=np.array([2], np.float32))
    inputs = np.arange(15, dtype=np.float32).reshape(5, 3)
    answers = load("onnx", tmp_path).predict_batch(inputs)
    np.testing.assert_array_equal(answers, inputs * 2)


async def test_a_corrupt_file_is_refused_in_one_line(refuse: Refuse, converted: Path) -> None:
    (converted / "model.onnx").write_bytes((converted / "model.onnx").read_bytes()[:100])
    assert "model.onnx cannot be read as an ONNX model" in await refuse("onnx", converted)


def test_a_function_may_call_a_model_whose_input_is_no_batch(load: Load, tmp_path: Path) -> None:
    node = helper.make_node("Mul", ["x", "two"], ["y"])
    scalar = value("x", FLOAT), value("y", FLOAT)
    save(tmp_path / "one.onnx", [node], scalar[:1], scalar[1:], two=np.array(2, np.float32))
    with pytest.raises(LoadError, match="whose first dimension is the batch"):
        load("onnx", tmp_path)

    def each(model: Any, inputs: Any) -> Any:
        return [model.run(None, {"x": np.array(one[0])})[0] for one in inputs]

    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps(each))
    assert load("onnx", tmp_path).predict_batch(np.array([[3], [4]], np.float32)) == [6, 8]


def test_an_output_that_the_model_has_not_is_refused(load: Load, converted: Path) -> None:
    with pytest.raises(LoadError, match="no output 'scores'; it has label, probabilities"):
        load("onnx", converted, output="scores")
