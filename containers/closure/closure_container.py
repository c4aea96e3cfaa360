"""Serves a function that was saved by cloudpickle: `def predict(inputs)`, one output for each."""

import inspect
from typing import Any

import cloudpickle
from clipper_container import LoadError, ModelContainer
from clipper_container.functions import load_function, name_of
from clipper_container.saved import find_file


class ClosureContainer(ModelContainer):
    """Answers with what the function returns."""

    def __init__(self, model_data: str) -> None:
        """Load the file, or the only such file of a folder."""
        super().__init__(model_data)
        path = find_file(model_data, (".cloudpickle",))
        self._function = load_function(path)
        try:
            inspect.signature(self._function).bind("inputs")
        except TypeError:
            raise LoadError(
                f"{path} holds {name_of(self._function)}, which does not take one argument, "
                "the inputs of a batch."
            ) from None
        self.about = f"cloudpickle {cloudpickle.__version__}, {name_of(self._function)}"

    def predict_batch(self, inputs: Any) -> Any:
        """Whatever the function returns."""
        return self._function(inputs)
