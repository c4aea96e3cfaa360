"""LightGBM models, as LightGBM itself predicts with them."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from clipper_container import LoadError

from tests.integration.frameworks.conftest import Load, Refuse, Serve


@pytest.fixture
def booster(table: tuple[Any, Any]) -> Any:
    settings = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    features, classes = table
    return lightgbm.train(settings, lightgbm.Dataset(features, classes), num_boost_round=4)


async def test_probabilities_are_the_boosters_own(
    serve: Serve, booster: Any, table: tuple[Any, Any], tmp_path: Path
) -> None:
    booster.save_model(tmp_path / "model.txt")
    (tmp_path / "requirements.txt").write_text("lightgbm>=4\n")
    (tmp_path / "notes.txt").write_text("as of May")
    served = await serve("lightgbm", tmp_path)
    inputs = table[0][:5]
    expected = booster.predict(inputs)
    np.testing.assert_allclose(await served.predict(inputs, "doubles"), expected, rtol=1e-9)
    said = served.description
    assert said.model == f"LightGBM {lightgbm.__version__}, multiclass num_class:3"
    assert (said.input_form, said.output_form) == ("float64[4]", "float64[3]")


def test_labels_and_margins_are_there_for_the_asking(
    load: Load, booster: Any, table: tuple[Any, Any], tmp_path: Path
) -> None:
    booster.save_model(tmp_path / "model.lgb")
    inputs = table[0].astype(np.float32)
    labels = load("lightgbm", tmp_path, "floats", output="label").predict_batch(inputs)
    assert labels.tolist() == booster.predict(inputs).argmax(axis=1).tolist()
    scores = load("lightgbm", tmp_path, output="predict_proba").predict_batch(inputs)
    np.testing.assert_allclose(scores, booster.predict(inputs), rtol=1e-9)
    with pytest.raises(LoadError, match="it has predict, predict_proba, label, margin"):
        load("lightgbm", tmp_path, output="leaves")
    margins = load("lightgbm", tmp_path, output="margin").predict_batch(inputs)
    np.testing.assert_allclose(margins, booster.predict(inputs, raw_score=True), rtol=1e-9)


async def test_what_is_cut_off_is_refused_in_one_line(
    refuse: Refuse, booster: Any, tmp_path: Path
) -> None:
    (tmp_path / "model.txt").write_text(booster.model_to_string()[:1500])
    assert "model.txt is cut off" in await refuse("lightgbm", tmp_path)


def test_what_is_no_model_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("numpy\n")
    with pytest.raises(LoadError, match=r"model\.txt is no LightGBM model"):
        load("lightgbm", tmp_path)
    (tmp_path / "model.txt").write_text("tree\n\nend of trees\n")
    with pytest.raises(LoadError, match=r"model\.txt cannot be read as a LightGBM model"):
        load("lightgbm", tmp_path)


def test_a_regression_has_no_labels(load: Load, table: tuple[Any, Any], tmp_path: Path) -> None:
    data = lightgbm.Dataset(*table)
    lightgbm.train({"verbose": -1, "num_threads": 1}, data, 2).save_model(tmp_path / "model.txt")
    with pytest.raises(LoadError, match="has no labels: its objective is regression"):
        load("lightgbm", tmp_path, output="label")
    with pytest.raises(LoadError, match="has no probabilities: its objective is regression"):
        load("lightgbm", tmp_path, output="predict_proba")
