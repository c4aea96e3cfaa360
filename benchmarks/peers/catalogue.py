"""All peers."""

from peers.bentoml.adapter import PEER as BENTOML
from peers.litserve.adapter import PEER as LITSERVE
from peers.mlserver.adapter import PEER as MLSERVER
from peers.mosec.adapter import PEER as MOSEC
from peers.peer import Peer
from peers.ray.adapter import PEER as RAY
from peers.triton.adapter import PEER as TRITON

PEERS: tuple[Peer, ...] = (TRITON, MOSEC, MLSERVER, LITSERVE, BENTOML, RAY)
