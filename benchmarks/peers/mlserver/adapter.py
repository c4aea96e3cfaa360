"""How MLServer is started and asked. It waits 1 ms for a batch, or does not batch at all.

It batches only with a time to wait: 0 turns batching off. The model runs in a process of its own,
or in the one that speaks HTTP, which spares a way through two queues.
"""

import json
from pathlib import Path

from daemon import free_port
from peers.payload import Payload, v2
from peers.peer import Peer, Setting
from peers.work import Orders


def command(orders: Orders, scratch: Path) -> list[str]:
    """Writes its two files, and serves the folder."""
    server = {
        "host": "127.0.0.1",
        "http_port": orders.port,
        "grpc_port": free_port(),
        "metrics_endpoint": None,
        "parallel_workers": int(orders.apart),
        "debug": False,
        "gzip_enabled": False,
        "use_structured_logging": False,
        "logging_settings": {"version": 1, "root": {"level": "ERROR"}},
    }
    model: dict[str, object] = {"name": "model", "implementation": "server.Predictor"}
    if orders.batched:
        model |= {
            "max_batch_size": orders.max_batch_size,
            "max_batch_time": orders.wait_ms / 1e3,
        }
    (scratch / "settings.json").write_text(json.dumps(server))
    (scratch / "model-settings.json").write_text(json.dumps(model))
    (scratch / "server.py").write_text((PEER.folder / "server.py").read_text())
    return [PEER.program("mlserver"), "start", str(scratch)]


PEER = Peer(
    name="mlserver",
    settings=(
        Setting("worker, wait 1 ms", wait_ms=1),
        Setting("in process, wait 1 ms", wait_ms=1, apart=False),
        Setting("in process, no batching", batched=False, apart=False),
    ),
    command=command,
    payload=lambda model, setting: Payload("/v2/models/model/infer", v2(model)),
    output=lambda answer: float(answer["outputs"][0]["data"][0]),
)
