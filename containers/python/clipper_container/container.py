"""What a model is to Clipper: a class that loads in `__init__` and answers in `predict_batch`."""

from typing import Any, Protocol

import numpy as np


class Model(Protocol):
    """All that the server asks of a model; `ModelContainer` is the convenient way to be one."""

    def predict_batch(self, inputs: Any) -> Any:
        """One output for each input, in their order."""


class ModelContainer:
    """The base class of models.

    A class needs nothing else than `predict_batch`, and an `__init__` that takes `model_data`; it
    need not even derive from this one. An instance is made once and called by one caller at a
    time, so it may keep whatever it likes on itself.
    """

    sample_input: Any = None
    """One input, as an array, a text, bytes or a JSON value: the model is warmed up with it."""

    def __init__(self, model_data: str) -> None:
        """Load the model; `model_data` is the path or text that it was deployed with.

        Whatever this raises ends the container, and its traceback reaches whoever deploys.
        """
        self.model_data = model_data

    def predict_batch(self, inputs: Any) -> Any:
        """One output for each input, in their order.

        By input type, `inputs` is

        - integers, floats, doubles: an int32, float32 or float64 array [batch, ...input's shape];
          a list of such arrays, one an input, where their shapes differ. They are the model's to
          change.
        - strings, bytes, json: a list of str, of bytes, of JSON values.

        The answer is an array [batch, ...], or a list of numbers, texts, arrays or JSON values
        (dicts and lists with numpy values in them are welcome). A batch whose answer is of the
        wrong length, or has NaN in it, fails as if this had raised; the next batch is served.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define predict_batch")

    def warm_up(self) -> None:
        """Called once before the first batch, so that no query pays for what is lazy in a model."""
        sample = self.sample_input
        if sample is not None:
            self.predict_batch(sample[np.newaxis] if isinstance(sample, np.ndarray) else [sample])
