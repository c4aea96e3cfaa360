"""How Mosec is started and asked. It waits 1 ms for a batch, or 0: then it takes what is there."""

from pathlib import Path

from peers.payload import Payload, plain
from peers.peer import Peer, Setting
from peers.work import Orders


def command(orders: Orders, scratch: Path) -> list[str]:
    """Listens with room in its queue for every connection of the load."""
    flags = {
        "--address": "127.0.0.1",
        "--port": str(orders.port),
        "--path": str(scratch / "ipc"),
        "--timeout": "30000",
        "--capacity": "8192",
        "--log-level": "error",
        "--wait": "0",
    }
    return [*PEER.server(), *(word for flag in flags.items() for word in flag)]


PEER = Peer(
    name="mosec",
    settings=(Setting("wait 1 ms", wait_ms=1), Setting("no wait")),
    command=command,
    payload=lambda model, setting: Payload("/inference", plain(model)),
    output=lambda answer: float(answer["output"]),
)
