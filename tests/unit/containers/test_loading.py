"""Targets to models, and what is said of those that are none."""

import sys
from pathlib import Path

import numpy as np
import pytest
from clipper_container import LoadError, ModelContainer
from clipper_container.loading import TargetError, class_of, load, warm_up
from clipper_container.options import Options

pytestmark = pytest.mark.usefixtures("clean_imports")

MODELS = """
import collections
from collections import OrderedDict
from clipper_container import ModelContainer

class Good(ModelContainer):
    def predict_batch(self, inputs): return inputs

class Plain:
    def __init__(self, model_data): self.model_data = model_data
    def predict_batch(self, inputs): return inputs

class Static:
    def __init__(self, model_data): pass
    @staticmethod
    def predict_batch(inputs): return inputs

class Mute: pass
class Lazy(ModelContainer): pass
class Async(ModelContainer):
    async def predict_batch(self, inputs): return inputs
class NoData:
    def predict_batch(self, inputs): return inputs
class TwoData(NoData):
    def __init__(self, a, b): pass
class OwnData(Good):
    def __init__(self): pass
class TwoArguments(Plain):
    def predict_batch(self, inputs, more): return inputs
class Broken(Good):
    def __init__(self, model_data): raise ValueError("bad weights")
instance = Good("")
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    path = tmp_path / "some_models.py"
    path.write_text(MODELS)
    return path


@pytest.mark.parametrize("name", ["Good", "Plain", "Static", "NoData"])
def test_a_class_in_a_file_is_loaded_with_its_model_data(models: Path, name: str) -> None:
    model = load(f"{models}:{name}", "the data")
    assert type(model).__name__ == name
    assert getattr(model, "model_data", "the data") == "the data"
    assert model.predict_batch([1]) == [1]


def test_a_file_is_found_from_the_working_directory_and_imports_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "neighbour_of_model.py").write_text("ANSWER = 42")
    (tmp_path / "my_model.py").write_text(
        "from neighbour_of_model import ANSWER\nclass M:\n"
        " def __init__(self, model_data): pass\n def predict_batch(self, inputs): return ANSWER\n"
    )
    monkeypatch.chdir(tmp_path)
    assert load("my_model.py:M", "").predict_batch([]) == 42


def test_a_file_may_have_the_name_of_a_module_that_is_already_there(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(MODELS)
    theirs = sys.modules["json"]
    assert load(f"{tmp_path / 'json.py'}:Good", "").predict_batch([1]) == [1]
    assert sys.modules["json"] is theirs


def test_what_was_pickled_by_the_files_name_is_found_again(models: Path) -> None:
    load(f"{models}:Good", "")
    assert sys.modules["some_models"].Good.__module__ == "some_models"


def test_a_class_in_a_module_is_loaded(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(models.parent)
    assert type(load("some_models:Good", "")).__name__ == "Good"


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("", "give module:Class or path/to/file.py:Class"),
        ("model.py", "give module:Class or path/to/file.py:Class"),
        ("model.py:", "give module:Class or path/to/file.py:Class"),
        ("/nowhere/model.py:M", "/nowhere/model.py: there is no such file"),
        ("no_such_module:M", "there is no module no_such_module"),
        ("json.no_such_module:M", "there is no module json.no_such_module"),
        ("{models}:Other", "has no class Other. It has Good, Plain, Static"),
        ("{models}:instance", "has a Good, not a class, of the name instance"),
        ("json:Other", "json has no class Other. It has no class with predict_batch"),
        ("{models}:Mute", "Mute has no predict_batch"),
        ("{models}:Lazy", "Lazy has no predict_batch"),
        ("{models}:Async", "predict_batch is async"),
        ("{models}:TwoData", r"define __init__\(self, model_data\)"),
        ("{models}:OwnData", r"define __init__\(self, model_data\)"),
        ("{models}:TwoArguments", r"define predict_batch\(self, inputs\)"),
    ],
)
def test_a_target_that_is_no_model_is_refused_with_the_fix(
    models: Path, target: str, complaint: str
) -> None:
    with pytest.raises(TargetError, match=complaint):
        load(target.format(models=models), "")


def test_a_file_that_is_no_python_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text(MODELS)
    with pytest.raises(TargetError, match="no Python file"):
        load(f"{tmp_path / 'model.bin'}:Good", "")


def test_errors_of_the_models_own_code_are_not_disguised(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bad weights"):
        load(f"{models}:Broken", "")
    (tmp_path / "needy.py").write_text("import no_such_dependency")
    with pytest.raises(LoadError) as refused:
        load(f"{tmp_path / 'needy.py'}:M", "")
    assert str(refused.value) == (
        "needy.py needs the Python package no_such_dependency, which is not installed here: "
        "deploy it with --requirements."
    )


def test_a_module_whose_import_fails_inside_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy_module.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LoadError, match=r"^needy_module needs the Python package no_such_depend"):
        load("needy_module:M", "")


def test_a_framework_that_is_not_there_is_named_with_what_installs_it(tmp_path: Path) -> None:
    (tmp_path / "prolog").mkdir()
    file = tmp_path / "prolog" / "prolog_container.py"
    file.write_text("import no_such_dependency")
    with pytest.raises(TargetError) as refused:
        load(f"{file}:PrologContainer", "")
    assert str(refused.value) == (
        "no_such_dependency is not installed here: pip install 'clipper-serving[prolog]', "
        "or deploy with --requirements"
    )


def test_a_class_beside_the_saved_model_serves_it_where_it_can(models: Path) -> None:
    own = Options(code=f"{models}:Good")
    assert type(load(f"{models}:Plain", "data", own)).__name__ == "Good"


def test_a_class_that_cannot_is_for_a_framework_that_takes_one(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Options(code=f"{models}:Mute")
    with pytest.raises(TargetError, match="Mute has no predict_batch"):
        load(f"{models}:Good", "", beside)
    monkeypatch.setattr(ModelContainer, "takes_class", True)
    assert type(load(f"{models}:Good", "", beside)).__name__ == "Good"


def test_a_file_is_run_once(models: Path) -> None:
    assert class_of(f"{models}:Good") is class_of(f"{models}:Good")


class Recorder(ModelContainer):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def predict_batch(self, inputs: object) -> None:
        self.asked.append(inputs)


def test_a_model_is_warmed_up_with_a_batch_of_its_sample() -> None:
    model = Recorder()
    for sample in (np.zeros(3, np.float32), "a text", b"bytes", {"json": 1}):
        model.sample_input = sample
        warm_up(model)
    array, *lists = model.asked
    assert isinstance(array, np.ndarray)
    assert array.shape == (1, 3)
    assert lists == [["a text"], [b"bytes"], [{"json": 1}]]


def test_a_model_without_a_sample_or_a_warm_up_is_served_cold(models: Path) -> None:
    model = Recorder()
    warm_up(model)
    assert model.asked == []
    warm_up(load(f"{models}:Plain", ""))
