"""Serves a TensorFlow SavedModel by its signature `serving_default`, or a Keras model.

A model with one input takes arrays or texts, one with several a JSON object by their names. The
output option names one of several outputs.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

if threads := os.environ.get("OMP_NUM_THREADS"):  # TensorFlow has names of its own for it
    os.environ.update(TF_NUM_INTRAOP_THREADS=threads, TF_NUM_INTEROP_THREADS=threads)

import numpy as np
import tensorflow as tf
from clipper_container import LoadError, ModelContainer
from clipper_container.answers import answer, check_output
from clipper_container.forms import TEXT, Array, Form, Forms, in_fixed_batches
from clipper_container.saved import find_file, place_of, reading

SUFFIXES = (".keras", ".h5", ".hdf5")
SAVED_MODEL = "saved_model.pb"
SIGNATURE = "serving_default"

Run = Callable[[Mapping[str, Array]], Mapping[str, Any]]


class TensorflowContainer(ModelContainer):
    """Answers with the model's output, or with all of several by their names."""

    def __init__(self, model_data: str) -> None:
        """Load the folder of a SavedModel, or the Keras file or the only one of a folder."""
        super().__init__(model_data)
        folder = place_of(model_data)
        is_folder = (folder / SAVED_MODEL).is_file()
        path = folder if is_folder else find_file(model_data, SUFFIXES)
        with reading(path, "a TensorFlow model"):
            if is_folder:
                self.model = tf.saved_model.load(str(path))
            else:
                self.model = tf.keras.models.load_model(str(path), compile=False)
            if not self.has_function:
                self._describe(*(self._saved_model(path) if is_folder else self._keras(path)))
        self.about = f"TensorFlow {tf.__version__}, {path.name}"

    def _describe(self, specs: Mapping[str, Any], run: Run) -> None:
        self._run = run
        self._forms = Forms({name: form_of(name, spec) for name, spec in specs.items()})
        self._batch_size = next(
            (spec.shape[0] for spec in specs.values() if spec.shape[0] is not None), None
        )
        self.describe_inputs(self._forms)

    def _saved_model(self, path: Path) -> tuple[Mapping[str, Any], Run]:
        function = self.model.signatures.get(SIGNATURE)
        if function is None:
            names = ", ".join(self.model.signatures) or "none"
            raise LoadError(f"{path} has no signature {SIGNATURE}; it has {names}.")
        check_output(self.options.output, function.structured_outputs)
        specs = dict(sorted(function.structured_input_signature[1].items()))
        return specs, lambda columns: function(
            **{name: tf.constant(column) for name, column in columns.items()}
        )

    def _keras(self, path: Path) -> tuple[Mapping[str, Any], Run]:
        model = self.model
        specs = {each.name: each for each in getattr(model, "inputs", None) or ()}
        if not specs:
            raise LoadError(f"{path} does not say what it takes; build it with an Input.")
        # A Sequential model has no names but its tensors'.
        names = getattr(model, "output_names", None) or [each.name for each in model.outputs]

        def run(columns: Mapping[str, Array]) -> Mapping[str, Any]:
            given = dict(columns) if len(columns) > 1 else next(iter(columns.values()))
            outputs = model.predict_on_batch(given)
            if isinstance(outputs, Mapping):
                return outputs
            several = outputs if isinstance(outputs, list | tuple) else [outputs]
            return dict(zip(names, several, strict=True))

        return specs, run

    def predict_batch(self, inputs: Any) -> Any:
        """One output for each input."""
        columns = self._forms.columns(inputs)
        if self._batch_size is not None:
            return answer(
                in_fixed_batches(self._on_host, columns, self._batch_size), self.options.output
            )
        return answer(self._on_host(columns), self.options.output)

    def _on_host(self, columns: Mapping[str, Array]) -> dict[str, Any]:
        return {name: texts(np.asarray(output)) for name, output in self._run(columns).items()}


def form_of(name: str, spec: Any) -> Form:
    """What one input takes.

    Raises:
        LoadError: no batch of anything.
    """
    if spec.shape is None or spec.shape == tf.TensorShape(None) or len(spec.shape) == 0:
        raise LoadError(f"The input {name} of the model has no first dimension, the batch.")
    dtype = np.dtype(tf.as_dtype(spec.dtype).as_numpy_dtype)
    return Form(TEXT if dtype.kind == "O" else dtype, tuple(spec.shape[1:]))


def texts(output: Array) -> Array:
    """Tensors of strings hold bytes."""
    return np.char.decode(output.astype(bytes)) if output.dtype.kind == "O" else output
