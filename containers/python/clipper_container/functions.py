"""Functions of the user's that were saved by cloudpickle, alone or to be called with a model."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipper_container.container import Model
from clipper_container.errors import LoadError
from clipper_container.saved import function_beside, reading


class CalledWithModel:
    """Answers with what a function makes of a loaded model and the inputs.

    Its inputs are what the function likes, so nothing is said of them, nor tried.
    """

    def __init__(self, container: Any, function: Callable[[Any, Any], Any]) -> None:
        self.about = f"{getattr(container, 'about', '')}, called by {name_of(function)}"
        self._model = container.model
        self._function = function

    def predict_batch(self, inputs: Any) -> Any:
        """Whatever the function returns."""
        return self._function(self._model, inputs)


def with_function(model: Model, model_data: str) -> Model:
    """The model, called by the function that lies beside it where there is one.

    Raises:
        LoadError: what lies there is none.
    """
    path = function_beside(model_data)
    if path is None or getattr(model, "model", None) is None:
        return model
    return CalledWithModel(model, load_function(path))


def load_function(path: Path) -> Callable[..., Any]:
    """A function from its file.

    Raises:
        LoadError: the file cannot be read, or holds something else.
    """
    with reading(path, "a function"):
        function = load_object(path)
    if not callable(function):
        raise LoadError(f"{path} holds a {type(function).__name__}, which cannot be called.")
    return function  # type: ignore[no-any-return]


def load_object(path: Path) -> Any:
    """Whatever was saved by cloudpickle: a pickle that needs that package to be there."""
    return pickle.loads(path.read_bytes())


def name_of(function: Callable[..., Any]) -> str:
    """As it is called in its source."""
    return getattr(function, "__name__", type(function).__name__)
