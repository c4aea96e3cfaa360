"""Models for the container SDK's tests, told by each batch what to do; only containers run them."""

import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from clipper_container import ModelContainer


class Echo(ModelContainer):
    """Gives back what it was given."""

    def predict_batch(self, inputs: Any) -> Any:
        return inputs


class Describes(ModelContainer):
    """Says what it was given: its type, dtype and shape."""

    def predict_batch(self, inputs: Any) -> Any:
        kind = type(inputs).__name__
        return [f"{kind} {_described(each)}" for each in inputs]


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic):
        return f"{value.dtype} {list(value.shape)}"
    return f"{type(value).__name__} {value!r}"


class Evaluates(ModelContainer):
    """Takes one text, a Python expression, and answers with its value, whatever that is."""

    def predict_batch(self, inputs: Any) -> Any:
        return eval(inputs[0], {"np": np, "sys": sys, "os": os, "time": time})


class Slow(ModelContainer):
    """Takes as many seconds as the first number says, and leaves a file when it has begun."""

    def predict_batch(self, inputs: Any) -> Any:
        Path(self.model_data).touch()
        time.sleep(float(inputs[0][0]))
        return inputs[:, 0]


class Linear(ModelContainer):
    """The model of the containers in other languages, from the same file; sums without one."""

    def __init__(self, model_data: str) -> None:
        self.kind, self.rows = "linear", None
        if model_data:
            self.kind = Path(model_data).read_text().split("\n")[0]
            if self.kind not in ("linear", "logistic"):
                raise ValueError(f"{model_data} is of another kind")
            with warnings.catch_warnings(action="error"):  # that there is nothing
                self.rows = np.loadtxt(model_data, skiprows=1, ndmin=2)

    def predict_batch(self, inputs: Any) -> Any:
        if self.rows is None and isinstance(inputs, np.ndarray):
            return inputs.reshape(len(inputs), -1).sum(axis=1, dtype=np.float64)
        if self.rows is None:
            return [float(each.sum(dtype=np.float64)) for each in inputs]
        scores = inputs @ self.rows[:, 1:].T + self.rows[:, 0]
        if self.kind == "linear":
            return scores.squeeze(axis=1) if scores.shape[1] == 1 else scores
        if scores.shape[1] == 1:
            return 1 / (1 + np.exp(-scores[:, 0]))
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


class Poisoned(ModelContainer):
    """Chokes on negative numbers."""

    def predict_batch(self, inputs: Any) -> Any:
        if (inputs < 0).any():
            raise ValueError("negative numbers are poison")
        return inputs.sum(axis=1)


class WarmsUp(ModelContainer):
    """Counts its calls; the first is its warm-up."""

    sample_input = np.zeros(2, np.float32)
    calls = 0

    def predict_batch(self, inputs: Any) -> Any:
        self.calls += 1
        logging.info("call %s with %s", self.calls, inputs.shape)
        return [self.calls] * len(inputs)


class Speaks(ModelContainer):
    """Says what it is, also what no text can hold, and what it takes."""

    about = "a model \udce9"
    input_type = "floats"
    input_form = "float32[2]"
    sample_input = np.zeros(2, np.float32)

    def predict_batch(self, inputs: Any) -> Any:
        return inputs.astype(np.float64)


class Broken(ModelContainer):
    """Cannot be loaded."""

    def __init__(self, model_data: str) -> None:
        raise OSError(f"no weights in {model_data}")

    def predict_batch(self, inputs: Any) -> Any:
        return inputs


class ColdBroken(ModelContainer):
    """Is loaded, but cannot predict."""

    sample_input = "anything"

    def predict_batch(self, inputs: Any) -> Any:
        raise RuntimeError("the tokenizer is missing")


class Environment(ModelContainer):
    """Answers with the value of an environment variable."""

    def predict_batch(self, inputs: Any) -> Any:
        return [os.environ.get(name, "not set") for name in inputs]
