"""XGBoost models, as XGBoost itself predicts with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from clipper_container import LoadError

from tests.integration.frameworks.conftest import Load, Refuse, Serve


@pytest.fixture
def classifier(table: tuple[Any, Any]) -> Any:
    return xgboost.XGBClassifier(n_estimators=4, max_depth=2).fit(*table)


async def test_probabilities_are_the_boosters_own(
    serve: Serve, classifier: Any, table: tuple[Any, Any], tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "model.ubj")
    served = await serve("xgboost", tmp_path)
    inputs = table[0][:5].astype(np.float32)
    expected = classifier.predict_proba(inputs)
    np.testing.assert_allclose(await served.predict(inputs), expected, rtol=1e-6)
    assert served.description.model == f"XGBoost {xgboost.__version__}, multi:softprob"
    assert served.description.input_form == "float32[4]"
    assert served.description.output_form == "float32[3]"
    wide = await served.result([[1, 2, 3]])
    assert "has the shape [3]; it takes float32[4]" in wide.error.message
    ragged = await served.result([[1, 2, 3, 4], [1]])
    assert "differ in shape" in ragged.error.message
    assert len(await served.predict([[1, 2, 3, 4]])) == 1


def test_json_files_labels_and_margins_are_read(
    load: Load, classifier: Any, table: tuple[Any, Any], tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "model.json")
    (tmp_path / "features.json").write_text('["age", "height"]')
    inputs = table[0][:7]
    labels = load("xgboost", tmp_path, "doubles", output="label").predict_batch(inputs)
    assert labels.tolist() == classifier.predict(inputs).tolist()
    for name in ("predict", "predict_proba"):
        scores = load("xgboost", tmp_path / "model.json", output=name).predict_batch(inputs)
        np.testing.assert_allclose(scores, classifier.predict_proba(inputs), rtol=1e-6)
    with pytest.raises(LoadError, match="it has predict, predict_proba, label, margin"):
        load("xgboost", tmp_path / "model.json", output="leaves")
    margins = load("xgboost", tmp_path / "model.json", output="margin").predict_batch(inputs)
    expected = classifier.predict(inputs, output_margin=True)
    np.testing.assert_allclose(margins, expected, rtol=1e-5)


def test_early_stopping_holds_when_served(
    load: Load, table: tuple[Any, Any], tmp_path: Path
) -> None:
    features, classes = table
    model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2)
    noise = np.random.default_rng(1).permutation(classes)
    model.fit(features, classes, eval_set=[(features, noise)], verbose=False)
    assert model.best_iteration < 20
    model.save_model(tmp_path / "model.ubj")
    scores = load("xgboost", tmp_path).predict_batch(features)
    np.testing.assert_allclose(scores, model.predict_proba(features), rtol=1e-6)


async def test_what_is_cut_off_is_refused_in_one_line(
    refuse: Refuse, classifier: Any, tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "model.ubj")
    whole = (tmp_path / "model.ubj").read_bytes()
    (tmp_path / "model.ubj").write_bytes(whole[: len(whole) // 2])
    assert "model.ubj is no XGBoost model, or is cut off" in await refuse("xgboost", tmp_path)


@pytest.mark.parametrize("content", ["", "tree\n", "{}", '{"learner": {}}'])
def test_what_is_no_model_is_refused(load: Load, tmp_path: Path, content: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(LoadError, match=r"model\.json (is no|cannot be read as an) XGBoost model"):
        load("xgboost", tmp_path)


def test_an_output_that_the_model_has_not_is_refused(
    load: Load, table: tuple[Any, Any], tmp_path: Path
) -> None:
    xgboost.XGBRegressor(n_estimators=2).fit(*table).save_model(tmp_path / "model.json")
    with pytest.raises(LoadError, match="has no labels: its objective is reg:squarederror"):
        load("xgboost", tmp_path, output="label")
    with pytest.raises(LoadError, match="no output 'leaves'; it has predict, margin"):
        load("xgboost", tmp_path, output="leaves")


def test_a_model_of_numbers_is_not_deployed_for_texts(
    load: Load, classifier: Any, tmp_path: Path
) -> None:
    classifier.save_model(tmp_path / "model.ubj")
    with pytest.raises(LoadError, match="takes floats, but it was deployed for strings"):
        load("xgboost", tmp_path, "strings")
