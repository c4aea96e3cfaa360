"""scikit-learn's estimators, as they predict where they were trained."""

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from clipper_container import LoadError
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
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
    with pytest.raises(LoadError, match=r"code of the module `no_such_package`.* --requirements"):
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


@pytest.mark.parametrize("is_pipeline", [False, True])
async def test_an_estimator_that_is_not_fitted_is_refused_in_one_line(
    refuse: Refuse, tmp_path: Path, is_pipeline: bool
) -> None:
    steps = [StandardScaler().fit([[0.0], [1.0]])] if is_pipeline else []
    joblib.dump(make_pipeline(*steps, LogisticRegression()), tmp_path / "model.joblib")
    told = await refuse("sklearn", tmp_path)
    assert "model.joblib holds a LogisticRegression that is not fitted; save it after fit." in told


def test_texts_that_are_nowhere_fitted_are_refused(load: Load, tmp_path: Path) -> None:
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    joblib.dump(pipeline, tmp_path / "model.joblib")
    with pytest.raises(LoadError, match="The model is not fitted: "):
        load("sklearn", tmp_path)


def test_an_estimator_of_numbers_is_not_deployed_for_texts(
    load: Load, forest: Any, tmp_path: Path
) -> None:
    joblib.dump(forest, tmp_path / "model.joblib")
    with pytest.raises(LoadError, match=r"takes float64\[4\], but it was deployed for strings"):
        load("sklearn", tmp_path, "strings")


@pytest.fixture
def people() -> Any:
    """Some columns with names, and text in one."""
    ages, incomes = [20.0, 30.0, 40.0, 50.0], [1, 2, 3, 4]
    return pd.DataFrame({"age": ages, "income": incomes, "city": ["A", "B", "A", "C"]})


def by_column(encoder: Any) -> Any:
    scaled = (StandardScaler(), ["age", "income"])
    return make_pipeline(make_column_transformer(scaled, (encoder, ["city"])), LogisticRegression())


async def test_a_pipeline_of_columns_is_given_records_by_name(
    serve: Serve, people: Any, tmp_path: Path
) -> None:
    pipeline = by_column(OneHotEncoder(handle_unknown="ignore")).fit(people, ["no", "yes"] * 2)
    joblib.dump(pipeline, tmp_path / "model.joblib")
    served = await serve("sklearn", tmp_path)
    said = served.description
    assert (said.input_type, said.input_form) == (6, "{age, income, city}")
    assert said.output_form == "text, one of no, yes"
    records = [dict(reversed(each.items())) for each in people.to_dict("records")]
    assert await served.predict(records, "json") == pipeline.predict(people).tolist()
    lacking = await served.result([{"age": 1}], "json")
    assert "has no income, city; it takes {age, income, city}" in lacking.error.message


def test_an_encoder_that_refuses_zeros_is_warmed_up_with_what_it_knows(
    load: Load, people: Any, tmp_path: Path
) -> None:
    joblib.dump(by_column(OneHotEncoder()).fit(people, [0, 1, 0, 1]), tmp_path / "model.joblib")
    model = load("sklearn", tmp_path, "json")
    assert model.sample_input == {"age": 0.0, "income": 0.0, "city": "A"}
    assert model.output_form == "int64, one of 0, 1"


# Warnings are errors here, those about names of columns among them.
def test_numbers_with_names_are_taken_in_the_order_of_columns_or_by_name(
    load: Load, people: Any, tmp_path: Path
) -> None:
    numbers = people[["age", "income"]]
    forest = RandomForestClassifier(3, random_state=1).fit(numbers, [0, 1, 0, 1])
    joblib.dump(forest, tmp_path / "model.joblib")
    model = load("sklearn", tmp_path, "floats")
    assert model.input_form == "float64[2] of {age, income}"
    expected = forest.predict(numbers).tolist()
    assert model.predict_batch(numbers.to_numpy(np.float32)).tolist() == expected
    assert model.predict_batch(numbers.to_dict("records")).tolist() == expected
    with pytest.raises(ValueError, match=r"as many values as it takes columns, \{age, income\}"):
        model.predict_batch(np.zeros((1, 3)))


def test_pandas_is_asked_for_only_where_columns_are_picked_by_name(
    load: Load, people: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = by_column(OneHotEncoder()).fit(people, [0, 1, 0, 1])
    numbers = LogisticRegression().fit(people[["age", "income"]], [0, 1, 0, 1])
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    joblib.dump(numbers, tmp_path / "numbers.joblib")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(LoadError, match=r"needs the Python package pandas, .* --requirements"):
        load("sklearn", tmp_path / "pipeline.joblib")
    model = load("sklearn", tmp_path / "numbers.joblib", "doubles")
    assert model.input_form == "float64[2]"


def test_a_class_of_the_script_that_saved_it_is_named(load: Load, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"c__main__\nLogScale\n.")
    with pytest.raises(LoadError, match=r"LogScale was defined in the script .*deploy_live_model"):
        load("sklearn", tmp_path)
