"""Mosec at its best: one stage of one worker process, fed by its HTTP server in Rust.

The body goes to the worker as it came and is decoded there by msgspec to a typed list (decoding in
a stage of its own means one more hop between processes, and two cores have no room for it). The
queue is as long as the load is wide, so that nothing is refused in a closed loop.
"""

from typing import Any

import msgspec
import numpy as np
from mosec import Server, Worker
from peers.work import orders

ORDERS = orders()


class Body(msgspec.Struct):
    """The same body that Clipper takes."""

    input: list[float]


class ModelWorker(Worker):
    """Holds the model."""

    def __init__(self) -> None:
        self.model = ORDERS.load()
        self.decode = msgspec.json.Decoder(Body).decode
        self.encode = msgspec.json.Encoder().encode

    def deserialize(self, data: bytes) -> list[float]:
        """Of one request."""
        return self.decode(data).input

    def serialize(self, data: Any) -> bytes:
        """Of one answer."""
        return self.encode({"output": data})

    def forward(self, data: Any) -> Any:
        """Of one batch."""
        if not ORDERS.batched:
            data = [data]
        outputs = self.model.predict(np.array(data, self.model.dtype)).tolist()
        return outputs if ORDERS.batched else outputs[0]


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        ModelWorker,
        max_batch_size=ORDERS.max_batch_size if ORDERS.batched else 1,
        max_wait_time=int(ORDERS.wait_ms),
    )
    server.run()
