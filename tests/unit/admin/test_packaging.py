"""Paths of models: absolute, and known to exist, before they are sent."""

from pathlib import Path

import pytest

from clipper.admin.errors import InvalidCall
from clipper.admin.packaging import check_image, saved


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "svm.joblib").write_bytes(b"")
    (tmp_path / "rules.py").write_text("class Rules: ...\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_relative_path_becomes_absolute(folder: Path) -> None:
    assert saved("svm.joblib", "").said() == {"path": str(folder / "svm.joblib")}
    assert saved(".", "", "sklearn").said() == {"framework": "sklearn", "path": str(folder)}


def test_a_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert saved("~/svm.joblib", "").path == str(folder / "svm.joblib")


def test_a_class_keeps_its_name_and_its_data(folder: Path) -> None:
    said = {"path": f"{folder / 'rules.py'}:Rules", "model_data": str(folder / "svm.joblib")}
    assert saved("rules.py:Rules", "svm.joblib").said() == said


@pytest.mark.parametrize("path", ["rules.py", "rules:Rules", "rules.py:", "rules.py:2"])
def test_a_python_model_without_a_class_is_refused(path: str) -> None:
    with pytest.raises(InvalidCall, match="does not name a class") as refusal:
        saved(path, "", "python")
    assert "file.py:ClassName" in refusal.value.hint


@pytest.mark.parametrize(("framework", "path"), [("", "no.joblib"), ("python", "no.py:A")])
def test_a_missing_file_is_refused_by_name(folder: Path, framework: str, path: str) -> None:
    with pytest.raises(InvalidCall, match=r"'no\.\w+' does not exist") as refusal:
        saved(path, "", framework)
    assert str(folder) in refusal.value.message


def test_only_noop_and_an_image_of_its_own_need_no_path() -> None:
    assert saved("", "", "noop").path == ""
    assert saved("anything", "", "noop").path == "anything"
    assert saved("", "", needs_path=False).path == ""
    assert saved("", "", "python", needs_path=False).said() == {"framework": "python"}
    for framework, hint in (("", "svm.joblib"), ("python", "file.py:ClassName")):
        with pytest.raises(InvalidCall, match="PATH is missing") as refusal:
            saved("", "", framework)
        assert hint in refusal.value.hint


def test_only_a_file_that_is_not_sent_is_the_daemons_to_open() -> None:
    for is_sent in (False, True):
        with pytest.raises(InvalidCall) as refusal:
            saved("no.joblib", "", is_sent=is_sent)
        assert ("daemon" in refusal.value.hint) is not is_sent


def test_an_image_that_brings_its_own_is_named_with_its_manager() -> None:
    check_image("image", "docker", "mine:1")
    check_image("sklearn", "", "")
    with pytest.raises(InvalidCall, match="lacks --manager docker and --image NAME"):
        check_image("image", "", "")
    with pytest.raises(InvalidCall, match=r"lacks --image NAME\."):
        check_image("image", "docker", "")
