"""What a model is to Clipper: a class that loads in `__init__` and answers in `predict_batch`."""

import logging
import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from clipper_container.answers import form_of
from clipper_container.errors import LoadError
from clipper_container.forms import Forms
from clipper_container.options import read_options
from clipper_container.saved import function_beside, reason

log = logging.getLogger(__name__)


REFUSED_CHARS = 200


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
    sample_is_guess: bool = False
    """A model that refuses a guess is served cold; one that refuses a real sample is not served."""

    input_type: str = ""
    """What it takes, as `--input-type` names it; empty where it does not say."""
    refuses: Sequence[str] = ()
    """Input types that it cannot take, where it takes several of the others."""
    about: str = ""
    """What it is, for people to read."""
    input_form: str = ""
    """What one input looks like, for people: `float32[30]`."""
    output_form: str = ""
    """What one output looks like, for people; the warm-up shows it where this is empty."""

    takes_class: bool = False
    """Whether the saved model is weights of a class that comes with it, `self.options.code`."""
    model: Any = None
    """The framework's own object: what a function beside the saved model is called with."""
    has_function: bool = False
    """Whether there is one: then `predict_batch` is not asked, and what it needs not looked for."""

    def __init__(self, model_data: str) -> None:
        """Load the model; `model_data` is the path or text that it was deployed with.

        Whatever this raises ends the container: a `LoadError` with its message, anything else with
        its traceback, which reaches whoever deploys.
        """
        self.model_data = model_data
        self.options = read_options(os.environ)
        self.has_function = function_beside(model_data) is not None

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

    def describe_inputs(self, forms: Forms) -> None:
        """Say what the model takes, and guess a sample from it."""
        self.input_type = forms.input_type
        self.input_form = str(forms)
        self.sample_input = forms.sample()
        self.sample_is_guess = True

    def warm_up(self) -> None:
        """Called once before the first batch, so that no query pays for what is lazy in a model."""
        sample = self.sample_input
        if sample is None:
            return
        batch = sample[np.newaxis] if isinstance(sample, np.ndarray) else [sample]
        try:
            outputs = self.predict_batch(batch)
        except LoadError:  # whatever the sample: the model has no such output, say
            raise
        except Exception as error:
            if not self.sample_is_guess:
                raise
            # A model may well refuse zeros (unknown categories, say) and serve real inputs.
            log.warning("No warm-up: the model refuses a guess, %r", sample, exc_info=True)
            refused = f"not warmed up: it refused {_shown(sample)}: {reason(error)[:REFUSED_CHARS]}"
            self.output_form = "; ".join(filter(None, (self.output_form, refused)))
        else:
            self.output_form = self.output_form or form_of(outputs)


def _shown(sample: Any) -> str:
    """A guess, for people."""
    if not isinstance(sample, np.ndarray):
        return repr(sample)[:REFUSED_CHARS]
    what = "a guess" if sample.any() else "zeros"
    return f"{what} of {form_of(sample[np.newaxis]) or sample.dtype.name}"
