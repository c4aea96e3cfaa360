"""Serves an ONNX model by onnxruntime, on CUDA where its package brings that, else on the CPU.

A model with one input takes arrays or texts, one with several a JSON object by their names. The
output option names one of several outputs.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from clipper_container import LoadError, ModelContainer
from clipper_container.answers import answer, check_output
from clipper_container.forms import TEXT, Array, Form, Forms, in_fixed_batches
from clipper_container.saved import find_file, reading

SUFFIXES = (".onnx",)
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
LABELS = ("label", "output_label")
"""What converters of classifiers call their first output; the second has the probabilities."""
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(string)": TEXT,
    **{f"tensor({name})": np.dtype(name) for name in INTEGERS},
}


class OnnxContainer(ModelContainer):
    """Answers with the model's output; where a label comes with probabilities, with the label."""

    def __init__(self, model_data: str) -> None:
        """Load the file, or the only such file of a folder."""
        super().__init__(model_data)
        path = find_file(model_data, SUFFIXES)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        there = onnxruntime.get_available_providers()
        providers = [name for name in PROVIDERS if name in there]
        with reading(path, "an ONNX model"):
            self.model = onnxruntime.InferenceSession(str(path), options, providers=providers)
        if not self.has_function:
            self._describe()
        where = self.model.get_providers()[0].removesuffix("ExecutionProvider")
        self.about = f"onnxruntime {onnxruntime.__version__} on {where}, {path.stem}"

    def _describe(self) -> None:
        self._outputs = [each.name for each in self.model.get_outputs()]
        check_output(self.options.output, self._outputs)
        self._output = self.options.output or next(
            (name for name in self._outputs if name in LABELS), ""
        )
        inputs = self.model.get_inputs()
        self._forms = Forms({each.name: form_of(each) for each in inputs})
        sizes = {each.shape[0] for each in inputs if each.shape}
        self._batch_size = next((size for size in sizes if isinstance(size, int)), None)
        self.describe_inputs(self._forms)

    def predict_batch(self, inputs: Any) -> Any:
        """One output for each input."""
        columns = self._forms.columns(inputs)
        if self._batch_size is None:
            return answer(self._run(columns), self._output)
        return answer(in_fixed_batches(self._run, columns, self._batch_size), self._output)

    def _run(self, columns: Mapping[str, Array]) -> dict[str, Any]:
        names = [self._output] if self._output else self._outputs
        return dict(zip(names, self.model.run(names, dict(columns)), strict=True))


def form_of(node: Any) -> Form:
    """What one input of the graph takes.

    Raises:
        LoadError: no batch of anything.
    """
    dtype = DTYPES.get(node.type)
    if dtype is None or len(node.shape) == 0:
        raise LoadError(
            f"The input {node.name} of the model is {node.type}{node.shape}; "
            "an input that is served is a tensor whose first dimension is the batch."
        )
    sizes = [size if isinstance(size, int) else None for size in node.shape[1:]]
    return Form(dtype, tuple(sizes))
