"""How Triton is started and asked. It delays a batch by 0.5 ms, or takes what is there."""

import shutil
import sys
from pathlib import Path

from peers.payload import WIDTHS, Payload, v2
from peers.peer import HERE, Peer, Setting
from peers.work import Orders

CONFIGURATION = """
name: "model"
backend: "python"
max_batch_size: {max_batch_size}
input [{{ name: "input", data_type: {data_type}, dims: [{width}] }}]
output [{{ name: "output", data_type: TYPE_FP64, dims: [1] }}]
instance_group [{{ count: 1, kind: KIND_CPU }}]
dynamic_batching {{ max_queue_delay_microseconds: {wait_us} }}
"""


def command(orders: Orders, scratch: Path) -> list[str]:
    """Writes a model repository, and serves it."""
    model = scratch / "repository" / "model"
    (model / "1").mkdir(parents=True)
    shutil.copy(PEER.folder / "model.py", model / "1")
    # The backend's interpreter looks for modules here, and not where PYTHONPATH says.
    (model / "1" / HERE.name).mkdir()
    shutil.copy(HERE / "work.py", model / "1" / HERE.name)
    configuration = CONFIGURATION.format(
        max_batch_size=orders.max_batch_size,
        data_type="TYPE_FP64" if orders.model == "classifier" else "TYPE_FP32",
        width=WIDTHS[orders.model],
        wait_us=int(orders.wait_ms * 1e3),
    )
    (model / "config.pbtxt").write_text(configuration)
    server = PEER.packages / "pytriton" / "tritonserver"
    backends = scratch / "backends"
    shutil.copytree(server / "backends", backends)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    (backends / "python" / stub.name).symlink_to(
        stub
    )  # a link: it finds its libraries beside itself
    flags = {
        "model-repository": scratch / "repository",
        "backend-directory": backends,
        "http-address": "127.0.0.1",
        "http-port": orders.port,
        "http-thread-count": 8,
        "allow-grpc": "false",
        "allow-metrics": "false",
        "log-info": "false",
        "disable-auto-complete-config": None,
    }
    words = [f"--{flag}" if value is None else f"--{flag}={value}" for flag, value in flags.items()]
    return [str(server / "bin" / "tritonserver"), *words]


PEER = Peer(
    name="triton",
    settings=(Setting("delay 0.5 ms", wait_ms=0.5), Setting("no delay")),
    command=command,
    payload=lambda model, setting: Payload("/v2/models/model/infer", v2(model)),
    output=lambda answer: float(answer["outputs"][0]["data"][0]),
)
