"""How LitServe is started and asked. It waits 2 ms for a batch, or takes what is there."""

from peers.payload import Payload, plain
from peers.peer import Peer, Setting

PEER = Peer(
    name="litserve",
    settings=(Setting("wait 2 ms", wait_ms=2), Setting("no wait")),
    command=lambda orders, scratch: PEER.server(),
    payload=lambda model, setting: Payload("/predict", plain(model)),
    output=lambda answer: float(answer["output"]),
)
