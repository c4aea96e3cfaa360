"""Models in memory, written so that another process can load them."""

import importlib.util
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from clipper.admin.errors import InvalidCall
from clipper.admin.live import FUNCTION, save
from clipper.admin.live import pickle as write


def module_at(file: Path, name: str, text: str) -> ModuleType:
    """A module of the user's, imported from a folder that no other process looks into."""
    file.write_text(text)
    found = importlib.util.spec_from_file_location(name, file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


def called_elsewhere(file: Path, argument: str) -> str:
    """What a pickled function answers in a process that has never seen its module."""
    code = f"import pickle; print(pickle.load(open({str(file)!r}, 'rb'))({argument}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    return done.stdout.strip()


def test_an_estimator_is_saved_as_its_framework_loads_it(tmp_path: Path) -> None:
    model = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([1.0, 3.0]))
    assert save(model, None, tmp_path) == "sklearn"
    assert joblib.load(tmp_path / "model.pkl").predict([[10.0]]) == pytest.approx([21.0])
    assert not (tmp_path / FUNCTION).exists()


def test_a_function_travels_with_the_modules_that_are_not_installed(tmp_path: Path) -> None:
    module_at(tmp_path / "beside.py", "beside", "FACTOR = 3\n")
    text = "import beside\ndef predict(inputs):\n    return [beside.FACTOR * x for x in inputs]\n"
    mine = module_at(tmp_path / "mine.py", "mine", text)
    try:
        write(mine.predict, tmp_path / "f")
    finally:
        del sys.modules["mine"], sys.modules["beside"]
    (tmp_path / "mine.py").unlink()
    (tmp_path / "beside.py").unlink()
    assert called_elsewhere(tmp_path / "f", "[1, 2]") == "[3, 6]"


def test_a_module_that_is_loaded_under_two_names_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = module_at(tmp_path / "mine.py", "mine", "def predict(inputs):\n    return len(inputs)\n")
    monkeypatch.setitem(sys.modules, "also_mine", mine)
    try:
        write(mine.predict, tmp_path / "f")
        cloudpickle.register_pickle_by_value(mine)
        write(mine.predict, tmp_path / "f")
        assert "mine" in cloudpickle.list_registry_pickle_by_value()  # it was not ours to end
        cloudpickle.unregister_pickle_by_value(mine)
    finally:
        del sys.modules["mine"]
    assert called_elsewhere(tmp_path / "f", "[1, 2]") == "2"


def test_a_module_that_is_not_there_under_its_own_name_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = module_at(tmp_path / "mine.py", "mine", "")
    monkeypatch.setitem(sys.modules, "also_mine", other)
    del sys.modules["mine"]
    write(len, tmp_path / "f")
    assert called_elsewhere(tmp_path / "f", "[1, 2]") == "2"


def test_a_function_that_cannot_be_saved_says_why(tmp_path: Path) -> None:
    lock = threading.Lock()

    def predict(inputs: Any) -> Any:
        with lock:
            return inputs

    with pytest.raises(InvalidCall, match=r"This predict cannot be saved: cannot pickle .*lock"):
        write(predict, tmp_path / "f")
    with pytest.raises(InvalidCall, match=r"This <lambda> cannot be saved"):
        save(LinearRegression(), lambda model, inputs: predict(inputs), tmp_path)


def test_what_is_installed_travels_by_name(tmp_path: Path) -> None:
    write(np.linalg.norm, tmp_path / "f")
    assert (tmp_path / "f").stat().st_size < 200


def test_the_function_that_predicts_lies_beside_its_model(tmp_path: Path) -> None:
    save(LinearRegression(), lambda model, inputs: [type(model).__name__ for _ in inputs], tmp_path)
    function: Any = pickle.loads((tmp_path / FUNCTION).read_bytes())
    assert function(LinearRegression(), [1, 2]) == ["LinearRegression"] * 2


def test_what_is_of_no_known_framework_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(InvalidCall, match=r"builtins\.dict is of no known") as refusal:
        save({}, None, tmp_path)
    assert "deploy_python_closure" in refusal.value.hint


def test_what_cannot_be_saved_says_why(tmp_path: Path) -> None:
    model = LinearRegression()
    model.file = (tmp_path / "open").open("w")
    with pytest.raises(InvalidCall, match="LinearRegression cannot be saved"):
        save(model, None, tmp_path)
    model.file.close()
