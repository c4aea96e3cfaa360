"""What a deployment leaves unsaid is found by the looks of its model."""

from dataclasses import replace
from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.core.types import Deployment
from clipper.deploy.completion import completed


def test_a_framework_is_found_by_the_path(tmp_path: Path) -> None:
    (tmp_path / "svm.joblib").touch()
    found = completed(Deployment("process", "", str(tmp_path / "svm.joblib")), True)
    assert (found.framework, found.requirements) == ("sklearn", ())
    assert completed(Deployment("process", "", "rules.py:Rules"), True).framework == "python"
    assert completed(Deployment("docker", "", "", image="mine:1"), True).framework == "image"


def test_what_was_said_stays(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("lightgbm\n")
    said = Deployment("process", "noop", str(tmp_path), requirements=("xgboost",))
    assert completed(said, False) == said
    assert completed(said, True) == said


def test_a_models_folder_names_its_packages(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# as trained\nlightgbm==4.0\n\n")
    deployment = Deployment("process", "sklearn", str(tmp_path))
    assert completed(deployment, True).requirements == ("lightgbm==4.0",)
    assert completed(deployment, False).requirements == ()
    code = Deployment("process", "python", f"{tmp_path}/rules.py:Rules", model_data=str(tmp_path))
    assert completed(code, True).requirements == ("lightgbm==4.0",)
    (tmp_path / "project").mkdir()
    code = replace(code, path=f"{tmp_path}/project/rules.py:Rules")
    assert completed(code, True).requirements == ("lightgbm==4.0",), "its data names them"
    (tmp_path / "project" / "requirements.txt").write_text("pandas\n")
    assert completed(code, True).requirements == ("pandas",), "its project does"


def test_beside_a_lone_model_there_may_be_any_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements.txt").write_text("pandas\n")
    (tmp_path / "svm.joblib").touch()
    found = completed(Deployment("process", "", str(tmp_path / "svm.joblib")), True)
    assert found.requirements == ()
    monkeypatch.chdir(tmp_path)
    assert completed(Deployment("process", "noop", ""), True).requirements == ()


def test_of_mlflow_itself_a_model_needs_the_part_that_predicts(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").touch()
    (tmp_path / "requirements.txt").write_text("mlflow==3.1\nmlflow-extras\nscikit-learn\n")
    found = completed(Deployment("process", "", str(tmp_path)), True)
    assert found.framework == "mlflow"
    assert found.requirements == ("mlflow-skinny==3.1", "mlflow-extras", "scikit-learn")


def test_nothing_at_a_path_is_an_error_that_names_it() -> None:
    with pytest.raises(DeployError, match=r"/no/such\.joblib"):
        completed(Deployment("process", "", "/no/such.joblib"), True)
