"""Functions that lie beside a saved model."""

from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from clipper_container import LoadError, ModelContainer
from clipper_container.functions import name_of, with_function


class Doubling(ModelContainer):
    """Its model is a number."""

    about = "a number"

    def __init__(self, model_data: str) -> None:
        super().__init__(model_data)
        self.model = 2

    def predict_batch(self, inputs: Any) -> Any:
        return [self.model * each for each in inputs]


class Called:
    """A function without a name."""

    def __call__(self, inputs: Any) -> Any:
        return inputs


def test_a_function_beside_a_model_is_called_with_it(tmp_path: Path) -> None:
    def power(model: int, inputs: Any) -> Any:
        return [each**model for each in inputs]

    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps(power))
    model: Any = with_function(Doubling(str(tmp_path)), str(tmp_path))
    assert model.predict_batch([3, 4]) == [9, 16]
    assert model.about == "a number, called by power"


def test_without_a_function_or_a_model_nothing_is_changed(tmp_path: Path) -> None:
    model = Doubling(str(tmp_path))
    assert with_function(model, str(tmp_path)) is model
    assert with_function(model, "") is model
    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps(len))
    bare = ModelContainer(str(tmp_path))
    assert with_function(bare, str(tmp_path)) is bare


def test_a_model_knows_whether_a_function_answers_in_its_place(tmp_path: Path) -> None:
    assert not Doubling("").has_function
    assert not Doubling("words " * 1000 + "\0").has_function  # model data need be no path
    assert not Doubling(str(tmp_path)).has_function
    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps(len))
    assert Doubling(str(tmp_path)).has_function


def test_what_lies_there_and_is_no_function_is_refused(tmp_path: Path) -> None:
    (tmp_path / "func.cloudpickle").write_bytes(cloudpickle.dumps("text"))
    with pytest.raises(LoadError, match=r"func\.cloudpickle holds a str, which cannot be called"):
        with_function(Doubling(""), str(tmp_path))


def test_what_has_no_name_is_called_by_its_type() -> None:
    assert name_of(cloudpickle.dumps) == "dumps"
    assert name_of(Called()) == "Called"
