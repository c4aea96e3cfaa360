"""Saved estimators behind predict_batch."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from clipper_container import LoadError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder


@pytest.fixture
def regression() -> Any:
    return LinearRegression().fit(np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 3.0]]), [1.0, 2.0, 5.0])


@pytest.fixture
def sklearn_container(framework: Callable[[str], Any]) -> Any:
    return framework("sklearn").SklearnContainer


def test_a_saved_estimator_answers_as_it_did(
    sklearn_container: Any, regression: Any, tmp_path: Path
) -> None:
    joblib.dump(regression, tmp_path / "model.joblib")
    model = sklearn_container(str(tmp_path / "model.joblib"))
    model.warm_up()
    inputs = np.array([[1, 1], [2, 3]], np.float32)
    np.testing.assert_allclose(model.predict_batch(inputs), regression.predict(inputs))


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib"])
def test_a_folder_with_one_such_file_stands_for_it(
    sklearn_container: Any, regression: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(regression))
    (tmp_path / "README.md").touch()
    assert sklearn_container(str(tmp_path)).model.coef_.shape == (2,)


def test_a_pipeline_of_texts_gets_the_texts(sklearn_container: Any, tmp_path: Path) -> None:
    pipeline = make_pipeline(CountVectorizer(), MultinomialNB())
    joblib.dump(pipeline.fit(["good fun", "bad luck"], ["up", "down"]), tmp_path / "model.joblib")
    model = sklearn_container(str(tmp_path))
    model.warm_up()
    assert list(model.predict_batch(["good", "bad"])) == ["up", "down"]


def test_inputs_of_different_lengths_are_refused_with_what_is_wanted(
    sklearn_container: Any, regression: Any, tmp_path: Path
) -> None:
    joblib.dump(regression, tmp_path / "model.joblib")
    model = sklearn_container(str(tmp_path))
    with pytest.raises(ValueError, match=r"differ in shape, \(2,\) and \(3,\); send 2 numbers"):
        model.predict_batch([np.zeros(2), np.zeros(3)])


def test_a_model_that_refuses_zeros_is_served_cold(
    sklearn_container: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = make_pipeline(OneHotEncoder(), LinearRegression())
    joblib.dump(pipeline.fit([["a"], ["b"]], [1.0, 2.0]), tmp_path / "model.joblib")
    model = sklearn_container(str(tmp_path))
    model.warm_up()
    assert "No warm-up" in caplog.text
    assert model.predict_batch([["a"], ["b"]]).round().tolist() == [1.0, 2.0]


def test_what_is_not_there_or_not_clear_is_refused_by_name(
    sklearn_container: Any, tmp_path: Path
) -> None:
    with pytest.raises(LoadError, match="there is no such file or folder"):
        sklearn_container(str(tmp_path / "missing"))
    with pytest.raises(LoadError, match="it holds none"):
        sklearn_container(str(tmp_path))
    for name in ("a.pkl", "b.joblib"):
        (tmp_path / name).touch()
    with pytest.raises(LoadError, match=r"it holds a\.pkl, b\.joblib"):
        sklearn_container(str(tmp_path))


def test_a_file_without_a_model_in_it_is_refused(sklearn_container: Any, tmp_path: Path) -> None:
    joblib.dump({"coef": 1}, tmp_path / "model.joblib")
    with pytest.raises(LoadError, match="holds a dict, which has no predict"):
        sklearn_container(str(tmp_path))
