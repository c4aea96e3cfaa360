"""LitServe at its best: one model process and one HTTP process, joined by ZeroMQ (`fast_queue`).

Uvicorn runs on uvloop and httptools without an access log; decoding and encoding are as little as
the system allows. A second HTTP process would share two cores with the first, model and load.
"""

from typing import Any

import litserve as ls
import numpy as np
from peers.work import orders

ORDERS = orders()


class ModelAPI(ls.LitAPI):
    """Holds the model."""

    def setup(self, device: str) -> None:
        """In the model's process."""
        self.model = ORDERS.load()

    def decode_request(self, request: dict[str, Any]) -> list[float]:
        """Of one request."""
        values: list[float] = request["input"]
        return values

    def batch(self, inputs: list[list[float]]) -> Any:
        """One array of many."""
        return np.array(inputs, self.model.dtype)

    def predict(self, x: Any) -> Any:
        """Of one batch; of one input where nothing is batched."""
        if ORDERS.batched:
            return self.model.predict(x)
        return self.model.predict(np.array([x], self.model.dtype))[0]

    def unbatch(self, output: Any) -> Any:
        """Many of one array."""
        return output.tolist()

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Of one answer."""
        return {"output": output if ORDERS.batched else output.item()}


if __name__ == "__main__":
    api = ModelAPI(
        max_batch_size=ORDERS.max_batch_size if ORDERS.batched else 1,
        batch_timeout=ORDERS.wait_ms / 1e3,
    )
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=ORDERS.port,
        num_api_servers=1,
        log_level="error",
        generate_client_file=False,
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
