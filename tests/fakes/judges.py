"""Models whose answers are known beforehand; containers run them, and their data is a file."""

import json
from pathlib import Path
from typing import Any

from clipper_container import ModelContainer


class Says(ModelContainer):
    """Answers each input with the value of its data, as JSON."""

    def __init__(self, model_data: str) -> None:
        super().__init__(model_data)
        self._value = json.loads(Path(model_data).read_text())

    def predict_batch(self, inputs: Any) -> Any:
        return [self._value for _ in inputs]


class Fails(ModelContainer):
    """Raises on every input."""

    def predict_batch(self, inputs: Any) -> Any:
        raise RuntimeError("no such luck")


class Guesses(ModelContainer):
    """The probabilities of two classes: sure of the sign where the first number is large.

    Its data is how much larger than 1 it takes to be sure.
    """

    def __init__(self, model_data: str) -> None:
        super().__init__(model_data)
        super().__init__(model_data)
        self._need = float(Path(model_data).read_text())

    def predict_batch(self, inputs: Any) -> Any:
        sure = (inputs[:, 0] > 0) * 0.98 + 0.01
        unsure = (inputs[:, 1] > 0) * 0.1 + 0.45
        chances = [
            s if abs(x) > self._need else u
            for s, u, x in zip(sure, unsure, inputs[:, 0], strict=True)
        ]
        return [[1 - float(chance), float(chance)] for chance in chances]
