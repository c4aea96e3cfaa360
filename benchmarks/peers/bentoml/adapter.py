"""How BentoML is started and asked: batches of one in each request where it is to batch them.

Its batcher refuses what it expects to be later than the objective, which is ten seconds in a
closed loop.
"""

from pathlib import Path
from typing import Any

from peers.payload import Payload, plain
from peers.peer import Peer, Setting
from peers.work import Orders


def command(orders: Orders, scratch: Path) -> list[str]:
    """Serves the class in the server file."""
    flags = ["--port", str(orders.port), "--host", "127.0.0.1", "--working-dir", str(PEER.folder)]
    return [PEER.program("bentoml"), "serve", "server:Predictor", *flags]


def output(answer: Any) -> float:
    """A number, or a list of one."""
    return float(answer[0] if isinstance(answer, list) else answer)


PEER = Peer(
    name="bentoml",
    settings=(
        Setting("adaptive batching", apart=False),
        Setting("no batching", batched=False, apart=False),
    ),
    command=command,
    payload=lambda model, setting: Payload("/predict", plain(model, 1 + setting.batched)),
    output=output,
    variables={"BENTOML_DO_NOT_TRACK": "True"},
)
