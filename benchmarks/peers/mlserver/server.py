"""MLServer at its best: uvicorn on uvloop, and little else.

gRPC has a port that nobody uses; metrics, gzip, debugging and access logs are off, and what
is imported is kept from the garbage collector, which takes some 70 ms for it. Whether a worker
process holds the model or the HTTP process itself is a setting: the worker costs a way through two
queues. Inputs come in the V2 inference protocol, as it has no other.
"""

import gc
from typing import Any

import numpy as np
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from peers.work import orders


class Predictor(MLModel):
    """Holds the model."""

    async def load(self) -> bool:
        """Once, at the start."""
        self.model = orders().load()
        gc.collect()
        gc.freeze()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Of one batch, which MLServer has put together to one request."""
        tensor = payload.inputs[0]
        rows = np.array(tensor.data.root, self.model.dtype).reshape(tensor.shape)
        outputs: Any = self.model.predict(rows).tolist()
        output = ResponseOutput(
            name="output", shape=[len(outputs), 1], datatype="FP64", data=outputs
        )
        return InferenceResponse(model_name=self.name, outputs=[output])
