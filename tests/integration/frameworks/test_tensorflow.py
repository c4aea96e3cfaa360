"""TensorFlow's SavedModels and Keras models, as they answer where they were saved.

TensorFlow is large, and in no environment by default: `pip install 'clipper-serving[tensorflow]'`.
"""

import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from clipper_container import LoadError

from tests.fakes.needs import missing
from tests.integration.frameworks.conftest import Load, Refuse, Serve

# Keras has not followed numpy in everything.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="module")
def tf() -> Any:
    """The package, where it is."""
    if importlib.util.find_spec("tensorflow") is None:
        missing("tensorflow", "it is not installed")
    with warnings.catch_warnings(action="ignore"):
        import tensorflow

    return tensorflow


@pytest.fixture
def network(tf: Any, table: tuple[Any, Any]) -> Any:
    """Three scores, after a little training."""
    layers = [tf.keras.Input((4,)), tf.keras.layers.Dense(8, "relu"), tf.keras.layers.Dense(3)]
    network = tf.keras.Sequential(layers)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss)
    network.fit(*table, epochs=2, verbose=0)
    return network


@pytest.fixture
def inputs(table: tuple[Any, Any]) -> Any:
    return table[0][:5].astype(np.float32)


async def test_a_saved_model_answers_by_its_signature(
    serve: Serve, network: Any, inputs: Any, tf: Any, tmp_path: Path
) -> None:
    network.export(tmp_path / "saved", verbose=False)
    served = await serve("tensorflow", tmp_path / "saved")
    expected = network.predict_on_batch(inputs)
    np.testing.assert_allclose(await served.predict(inputs), expected, rtol=1e-5)
    said = served.description
    assert said.model == f"TensorFlow {tf.__version__}, saved"
    assert (said.input_type, said.input_form, said.output_form) == (2, "float32[4]", "float32[3]")
    wide = await served.result([[1, 2, 3]])
    assert "has the shape [3]; it takes float32[4]" in wide.error.message


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_keras_file_is_read(
    load: Load, network: Any, inputs: Any, tmp_path: Path, name: str
) -> None:
    network.save(tmp_path / name)
    model = load("tensorflow", tmp_path, "doubles")
    expected = network.predict_on_batch(inputs)
    answers = model.predict_batch(inputs.astype(np.float64))
    np.testing.assert_allclose(answers, expected, rtol=1e-5)


def test_several_inputs_and_outputs_have_names(load: Load, tf: Any, tmp_path: Path) -> None:
    class Counts(tf.Module):  # type: ignore[misc]
        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec([None], tf.string, "text"),
                tf.TensorSpec([None, 2], tf.float32, "size"),
            ]
        )
        def count(self, text: Any, size: Any) -> Any:
            return {"upper": tf.strings.upper(text), "sum": tf.reduce_sum(size, 1)}

    counts = Counts()
    tf.saved_model.save(counts, str(tmp_path), signatures=counts.count)
    model = load("tensorflow", tmp_path, "json")
    assert model.input_form == "{size: float32[2], text: text}"
    objects = [{"text": "ab", "size": [1, 2]}, {"text": "ä", "size": [0, 1]}]
    answers = model.predict_batch(objects)
    assert answers == [{"upper": "AB", "sum": 3.0}, {"upper": "ä", "sum": 1.0}]
    sums = load("tensorflow", tmp_path, output="sum").predict_batch(objects)
    assert sums.tolist() == [3.0, 1.0]
    with pytest.raises(LoadError, match="no output 'mean'; it has"):
        load("tensorflow", tmp_path, output="mean")


def test_a_keras_model_of_several_inputs_takes_objects(load: Load, tf: Any, tmp_path: Path) -> None:
    a, b = tf.keras.Input((1,), name="a"), tf.keras.Input((2,), name="b")
    both = tf.keras.layers.Concatenate(name="both")([a, b])
    tf.keras.Model([a, b], [both, both[:, :1]]).save(tmp_path / "two.keras")
    model = load("tensorflow", tmp_path, output="both")
    assert model.predict_batch([{"a": [1], "b": [2, 3]}]).tolist() == [[1.0, 2.0, 3.0]]


def test_a_function_may_call_a_model_that_does_not_say_what_it_takes(
    load: Load, tf: Any, tmp_path: Path
) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path))
    function = cloudpickle.dumps(lambda model, inputs: [len(model.signatures) for _ in inputs])
    (tmp_path / "func.cloudpickle").write_bytes(function)
    assert load("tensorflow", tmp_path).predict_batch(["a", "b"]) == [0, 0]


async def test_a_corrupt_model_is_refused_in_one_line(
    refuse: Refuse, tf: Any, tmp_path: Path
) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no protobuf")
    assert "cannot be read as a TensorFlow model" in await refuse("tensorflow", tmp_path)


def test_what_cannot_be_called_with_a_batch_is_refused(
    load: Load, network: Any, tf: Any, tmp_path: Path
) -> None:
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04")
    with pytest.raises(LoadError, match=r"model\.keras cannot be read as a TensorFlow model"):
        load("tensorflow", tmp_path)
    tf.saved_model.save(tf.Module(), str(tmp_path / "bare"))
    with pytest.raises(LoadError, match="has no signature serving_default; it has none"):
        load("tensorflow", tmp_path / "bare")
