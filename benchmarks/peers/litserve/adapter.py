"""How LitServe is started and asked. It waits 2 ms for a batch, or takes what is there."""

from pathlib import Path

from peers.payload import Payload, plain
from peers.peer import Peer, Setting
from peers.work import Orders


def command(orders: Orders, scratch: Path) -> list[str]:
    """Its server file says the rest."""
    return PEER.server()


PEER = Peer(
    name="litserve",
    settings=(Setting("wait 2 ms", wait_ms=2), Setting("no wait")),
    command=command,
    payload=lambda model, setting: Payload("/predict", plain(model)),
    output=lambda answer: float(answer["output"]),
)
