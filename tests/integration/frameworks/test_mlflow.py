"""Models that MLflow saved, as its python_function flavour answers where they were saved."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clipper_container import LoadError
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from tests.integration.frameworks.conftest import Load, Serve

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read at import
with warnings.catch_warnings(action="ignore"):  # it warns of its own type hints
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import Schema, TensorSpec

# What MLflow says while it saves is no matter of ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
REQUIREMENTS = ["scikit-learn"]  # or MLflow would find out in a process of its own


@pytest.fixture
def frame(table: tuple[Any, Any]) -> Any:
    return pd.DataFrame(table[0], columns=["a", "b", "c", "d"])


@pytest.fixture
def classifier(frame: Any, table: tuple[Any, Any]) -> Any:
    return LogisticRegression().fit(frame, table[1])


def save(model: Any, path: Path, **options: Any) -> Path:
    mlflow.sklearn.save_model(model, path / "model", pip_requirements=REQUIREMENTS, **options)
    return path / "model"


async def test_columns_of_one_kind_of_number_are_arrays_in_their_order(
    serve: Serve, classifier: Any, frame: Any, tmp_path: Path
) -> None:
    signature = infer_signature(frame, classifier.predict(frame))
    folder = save(classifier, tmp_path, signature=signature, input_example=frame[:2])
    served = await serve("mlflow", folder)
    answers = await served.predict(frame[:6].to_numpy(), "doubles")
    assert answers == classifier.predict(frame[:6]).tolist()
    said = served.description
    assert said.model == f"MLflow {mlflow.__version__}, mlflow.sklearn"
    assert (said.input_type, said.input_form, said.output_form) == (3, "float64[4]", "int64")
    wide = await served.result([[1, 2, 3]], "doubles")
    assert "has the shape [3]; it takes float64[4]" in wide.error.message


def test_columns_of_several_kinds_are_records(
    load: Load, table: tuple[Any, Any], tmp_path: Path
) -> None:
    colours = np.where(table[0][:, 0] > 0, "red", "blue")
    sizes = np.round(table[0][:, 1] * 9).astype(np.int64)
    frame = pd.DataFrame({"colour": colours, "size": sizes})
    one_hot = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    pipeline = make_pipeline(one_hot, LogisticRegression(max_iter=1000)).fit(frame, table[1])
    signature = infer_signature(frame)
    model = load("mlflow", save(pipeline, tmp_path, signature=signature), "json")
    assert model.input_form == "{colour: string, size: long}"
    records = json.loads(frame[:5].to_json(orient="records"))
    assert model.predict_batch(records).tolist() == pipeline.predict(frame[:5]).tolist()
    with pytest.raises(ValueError, match=r"Input 5 of the batch has no size; it takes \{colour"):
        model.predict_batch([*records, {"colour": "red"}])


def test_tensors_are_arrays(load: Load, classifier: Any, frame: Any, tmp_path: Path) -> None:
    signature = ModelSignature(Schema([TensorSpec(np.dtype(np.float32), (-1, 4))]))
    model = load("mlflow", save(classifier, tmp_path, signature=signature), "doubles")
    assert (model.input_type, model.input_form) == ("floats", "float32[4]")
    inputs = frame[:4].to_numpy()
    assert model.predict_batch(inputs).tolist() == classifier.predict(frame[:4]).tolist()


def test_the_example_is_what_it_is_warmed_up_with(
    load: Load, classifier: Any, frame: Any, tmp_path: Path
) -> None:
    folder = save(classifier, tmp_path, input_example=frame[3:5])
    sample = load("mlflow", folder).sample_input
    np.testing.assert_allclose(sample, frame.iloc[3].to_numpy())


def test_whole_numbers_stay_whole(load: Load, table: tuple[Any, Any], tmp_path: Path) -> None:
    frame = pd.DataFrame(np.round(table[0][:, :2] * 9).astype(np.int64), columns=["a", "b"])
    classifier = LogisticRegression().fit(frame, table[1])
    signature = infer_signature(frame)
    folder = save(classifier, tmp_path, signature=signature, input_example=frame[:1])
    model = load("mlflow", folder, "integers")
    assert (model.input_type, model.input_form, model.sample_is_guess) == (
        "integers",
        "int64[2]",
        False,
    )
    inputs = frame[:5].to_numpy(np.int32)
    assert model.predict_batch(inputs).tolist() == classifier.predict(frame[:5]).tolist()


def test_one_text_is_a_text_and_named_outputs_an_object(load: Load, tmp_path: Path) -> None:
    @mlflow.pyfunc.utils.pyfunc  # type: ignore[untyped-decorator]
    def count(model_input: list[str]) -> dict[str, list[int]]:  # MLflow's signature, too
        return {
            "letters": [len(text) for text in model_input],
            "words": [len(text.split()) for text in model_input],
        }

    mlflow.pyfunc.save_model(tmp_path / "model", python_model=count, pip_requirements=REQUIREMENTS)
    model = load("mlflow", tmp_path / "model")
    assert model.input_type == "strings"
    assert model.predict_batch(["two words"]) == [{"letters": 9, "words": 2}]
    model = load("mlflow", tmp_path / "model", output="words")
    assert model.predict_batch(["two words", "one"]) == [2, 1]


def test_a_model_without_a_signature_gets_what_comes(
    load: Load, classifier: Any, frame: Any, tmp_path: Path
) -> None:
    model = load("mlflow", save(classifier, tmp_path))
    expected = classifier.predict(frame[:3]).tolist()
    assert model.input_type == ""
    assert model.predict_batch(frame[:3].to_dict("records")).tolist() == expected
    assert model.predict_batch(frame[:3].to_numpy()).tolist() == expected


def test_an_output_that_has_no_name_is_not_asked_for(
    load: Load, classifier: Any, frame: Any, tmp_path: Path
) -> None:
    folder = save(classifier, tmp_path, signature=infer_signature(frame))
    with pytest.raises(LoadError, match="no output 'foo'; it has the one without a name"):
        load("mlflow", folder, output="foo")


def test_a_model_whose_file_is_gone_is_refused(load: Load, classifier: Any, tmp_path: Path) -> None:
    folder = save(classifier, tmp_path)
    for file in folder.glob("model.*"):
        file.unlink()
    with pytest.raises(LoadError, match="cannot be read as a model of MLflow's: FileNotFound"):
        load("mlflow", folder)


def test_what_is_no_model_of_mlflows_is_refused(load: Load, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="is a folder with a file MLmodel"):
        load("mlflow", tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: {}")
    with pytest.raises(LoadError, match="cannot be read as a model of MLflow's: MlflowException"):
        load("mlflow", tmp_path)
