"""Paths of models: absolute, and known to exist, before they are sent."""

from pathlib import Path

import pytest

from clipper.admin.errors import InvalidCall
from clipper.admin.packaging import model_path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "svm.joblib").write_bytes(b"")
    (tmp_path / "rules.py").write_text("class Rules: ...\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_relative_path_becomes_absolute(folder: Path) -> None:
    assert model_path("sklearn", "svm.joblib") == str(folder / "svm.joblib")
    assert model_path("sklearn", ".") == str(folder)


def test_a_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert model_path("sklearn", "~/svm.joblib") == str(folder / "svm.joblib")


def test_a_python_model_keeps_its_class(folder: Path) -> None:
    assert model_path("python", "rules.py:Rules") == f"{folder / 'rules.py'}:Rules"


@pytest.mark.parametrize("path", ["rules.py", "rules:Rules", "rules.py:", "rules.py:2", ""])
def test_a_python_model_without_a_class_is_refused(path: str) -> None:
    with pytest.raises(InvalidCall, match="does not name a class") as refusal:
        model_path("python", path)
    assert "file.py:ClassName" in refusal.value.hint


@pytest.mark.parametrize(("framework", "path"), [("sklearn", "no.joblib"), ("python", "no.py:A")])
def test_a_missing_file_is_refused_by_name(folder: Path, framework: str, path: str) -> None:
    with pytest.raises(InvalidCall, match=r"'no\.\w+' does not exist") as refusal:
        model_path(framework, path)
    assert str(folder) in refusal.value.message


def test_only_noop_and_an_image_of_its_own_need_no_path() -> None:
    assert model_path("noop", "") == ""
    assert model_path("noop", "anything") == "anything"
    assert model_path("sklearn", "", image="mine:1") == ""
    assert model_path("python", "", image="mine:1") == ""
    with pytest.raises(InvalidCall):
        model_path("sklearn", "")
