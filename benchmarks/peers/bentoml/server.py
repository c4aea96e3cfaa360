"""BentoML at its best: one service of one worker, the model in the process that speaks HTTP.

A service for the model apart from the one for HTTP costs a second HTTP hop for each batch, and was
slower. Adaptive batching knows no delay of its own, only a latency to stay under; the other setting
is the same service without batching. Access logs, tracing and metrics are off; uvloop and httptools
are installed, which uvicorn takes where it finds them. What is imported is kept from the garbage
collector, which otherwise takes 70 ms for it, several times a second.
"""

import gc
from typing import Any

import bentoml
import numpy as np
from peers.work import orders

ORDERS = orders()
PATIENCE_S = 30


@bentoml.service(
    workers=1,
    traffic={"timeout": PATIENCE_S},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"sample_rate": 0.0},
)
class Predictor:
    """Holds the model."""

    def __init__(self) -> None:
        self.model = ORDERS.load()
        gc.collect()
        gc.freeze()

    if ORDERS.batched:

        @bentoml.api(
            batchable=True,
            max_batch_size=ORDERS.max_batch_size,
            max_latency_ms=int(ORDERS.slo_s * 1e3),
        )
        def predict(self, input: list[list[float]]) -> list[float]:
            """Of one batch."""
            outputs: list[float] = self.model.predict(np.array(input, self.model.dtype)).tolist()
            return outputs

    else:

        @bentoml.api
        def predict(self, input: list[float]) -> float:
            """Of one input."""
            outputs: Any = self.model.predict(np.array([input], self.model.dtype))
            return float(outputs[0])
