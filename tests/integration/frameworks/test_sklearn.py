"""scikit-learn's estimators, as they predict where they were trained."""

import os
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import pytest
import sklearn
from clipper_container import LoadError
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures
from skops import io

from tests.integration.frameworks.conftest import Load, Refuse, Serve


@pytest.fixture
def forest(table: tuple[Any, Any]) -> Any:
    return RandomForestClassifier(5, random_state=1).fit(*table)


async def test_a_skops_file_is_served_with_the_method_that_was_asked_for(
    serve: Serve, forest: Any, table: tuple[Any, Any], tmp_path: Path
) -> None:
    io.dump(forest, tmp_path / "model.skops")
    served = await serve("sklearn", tmp_path, "doubles", output="predict_proba")
    inputs = table[0][:5]
    assert await served.predict(inputs, "doubles") == forest.predict_proba(inputs).tolist()
    said = served.description
    assert said.model == f"scikit-learn {sklearn.__version__}, RandomForestClassifier"
    assert said.input_form == "float64[4]"
    assert said.output_form == "float64[3]"


async def test_a_model_of_texts_says_that_it_takes_them(serve: Serve, tmp_path: Path) -> None:
    pipeline = make_pipeline(TfidfVectorizer(), MultinomialNB())
    pipeline.fit(["good fun", "bad luck"], ["up", "down"])
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(pipeline))
    served = await serve("sklearn", tmp_path)
    assert served.description.input_type == 4  # strings
    assert served.description.output_form == "text, one of down, up"
    assert await served.predict(["good", "bad"], "strings") == ["up", "down"]


def test_a_sparse_answer_is_made_whole(load: Load, tmp_path: Path) -> None:
    joblib.dump(TfidfVectorizer().fit(["a good film", "a bad film"]), tmp_path / "words.joblib")
    vectors = load("sklearn", tmp_path, output="transform").predict_batch(["good", "film"])
    assert vectors.shape == (2, 3)
    assert vectors.sum() == 2.0


def test_numbers_of_any_width_are_taken(load: Load, forest: Any, tmp_path: Path) -> None:
    joblib.dump(forest, tmp_path / "model.joblib")
    for input_type in ("integers", "floats", "doubles"):
        assert load("sklearn", tmp_path, input_type).output_form == "int64, one of 0, 1, 2"


def test_a_function_beside_the_model_is_called_with_it(
    load: Load, forest: Any, table: tuple[Any, Any], tmp_path: Path
) -> None:
    def most_likely(model: Any, inputs: Any) -> Any:
        return [float(scores.max()) for scores in model.predict_proba(inputs)]

    joblib.dump(forest, tmp_path / "model.joblib")
    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps(most_likely))
    model = load("sklearn", tmp_path, "doubles")
    inputs = table[0][:3]
    assert model.predict_batch(inputs) == most_likely(forest, inputs)
    assert model.about.endswith("RandomForestClassifier, called by most_likely")


def test_a_function_may_call_what_does_not_predict(load: Load, tmp_path: Path) -> None:
    joblib.dump(PolynomialFeatures(2).fit([[1.0, 2.0]]), tmp_path / "model.joblib")
    with pytest.raises(LoadError, match="which has no predict"):
        load("sklearn", tmp_path)
    function = cloudpickle.dumps(lambda model, inputs: model.transform(inputs).shape[1:] * 2)
    (tmp_path / "func.cloudpickle").write_bytes(function)
    assert load("sklearn", tmp_path).predict_batch([[1.0, 2.0], [3.0, 4.0]]) == (6, 6)


async def test_a_file_that_runs_code_of_others_is_refused_by_its_types(
    refuse: Refuse, tmp_path: Path
) -> None:
    io.dump(FunctionTransformer(os.system), tmp_path / "model.skops")
    told = await refuse("sklearn", tmp_path)
    assert "model.skops holds types that skops does not trust: posix.system" in told


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.skops"])
def test_a_corrupt_file_is_refused(load: Load, forest: Any, tmp_path: Path, name: str) -> None:
    content = pickle.dumps(forest)
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(LoadError, match=rf"{name} cannot be read as a saved estimator: \w+"):
        load("sklearn", tmp_path)


def test_what_a_pickle_needs_and_is_not_there_is_named(load: Load, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"cno_such_package\nModel\n.")
    with pytest.raises(LoadError, match="needs the Python package no_such_package"):
        load("sklearn", tmp_path)


def test_a_method_that_the_estimator_has_not_is_refused(load: Load, tmp_path: Path) -> None:
    joblib.dump(PolynomialFeatures().fit([[1.0, 2.0]]), tmp_path / "model.joblib")
    with pytest.raises(LoadError, match="PolynomialFeatures, which has no predict;"):
        load("sklearn", tmp_path)
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "model.joblib")
    with pytest.raises(LoadError, match="LogisticRegression, which has no transform;"):
        load("sklearn", tmp_path, output="transform")


def test_texts_and_numbers_are_not_mistaken_for_each_other(load: Load, tmp_path: Path) -> None:
    joblib.dump(TfidfVectorizer().fit(["a good film"]), tmp_path / "words.joblib")
    with pytest.raises(LoadError, match="takes strings, but it was deployed for doubles"):
        load("sklearn", tmp_path, "doubles", output="transform")
