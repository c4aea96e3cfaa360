"""Triton at its best: its Python backend, one instance of the model in a process of its own.

The dynamic batcher hands all requests of a batch over at once; they are put together to one array
here, as the backend leaves that to the model. HTTP has its default of 8 threads (2 were slower at
128 connections); gRPC, metrics and logs are off. Inputs are JSON in the V2 inference protocol, as
they are JSON for all. The backend of this release reads arrays of numpy 1 only, hence its pins.
"""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from peers.work import orders


class TritonPythonModel:
    """Holds the model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Once, at the start."""
        self.model = orders().load()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Of one batch: requests of one row each."""
        rows = [pb_utils.get_input_tensor_by_name(one, "input").as_numpy() for one in requests]
        outputs = self.model.predict(np.concatenate(rows)).astype(np.float64)
        tensors = [pb_utils.Tensor("output", output) for output in outputs.reshape(-1, 1, 1)]
        return [pb_utils.InferenceResponse(output_tensors=[tensor]) for tensor in tensors]
