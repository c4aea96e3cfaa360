"""Where the stages of a query begin: the daemon's own functions, by the name that callers use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from costs.stopwatch import Stopwatch

from clipper.abstraction import dispatcher, slices
from clipper.abstraction.cache import ModelCache
from clipper.abstraction.dispatcher import Dispatcher
from clipper.abstraction.layer import ServedModel
from clipper.abstraction.member import Member
from clipper.abstraction.queue import BatchQueue
from clipper.frontend import exchange
from clipper.frontend.decode import Codec
from clipper.frontend.exchange import Exchange
from clipper.frontend.protocol import Connection
from clipper.rpc import replica
from clipper.rpc.lane import Lane
from clipper.rpc.replica import GrpcReplica
from clipper.serving.predictor import Predictor

STAGES = (
    "parse",
    "decode",
    "select",
    "cache",
    "queue",
    "dispatch",
    "batch encode",
    "RPC",
    "settle",
    "encode",
    "write",
)


class Seam(NamedTuple):
    """A function at which a stage begins."""

    stage: str
    owner: Any
    """The class or module that it is looked up in."""
    name: str


SEAMS = (
    Seam("parse", Connection, "data_received"),
    Seam("decode", Codec, "read"),
    Seam("decode", exchange, "read_frames"),
    Seam("select", Exchange, "begin"),
    Seam("select", Predictor, "submit"),
    Seam("cache", ModelCache, "fetch"),
    Seam("cache", ModelCache, "store"),
    Seam("queue", ServedModel, "predict"),
    Seam("dispatch", BatchQueue, "late"),
    Seam("dispatch", BatchQueue, "pop"),
    Seam("dispatch", Member, "observe"),
    Seam("batch encode", replica, "encode_batch"),
    Seam("RPC", Lane, "data_received"),
    Seam("RPC", replica, "decode_outputs"),
    Seam("settle", dispatcher, "in_slices"),
    Seam("settle", slices, "in_slices"),
    Seam("settle", Predictor, "_arrive"),
    Seam("encode", exchange, "encode_prediction"),
    Seam("write", Connection, "_respond"),
)
COROUTINES = (
    Seam("dispatch", Dispatcher, "run"),
    Seam("RPC", GrpcReplica, "predict"),
)


@contextmanager
def watching(watch: Stopwatch) -> Iterator[None]:
    """While this is open, whoever looks a seam up gets it watched."""
    plain = [(seam, getattr(seam.owner, seam.name)) for seam in (*SEAMS, *COROUTINES)]
    try:
        for seam, call in plain:
            stage = 1 + STAGES.index(seam.stage)
            watched = watch.watched_steps if seam in COROUTINES else watch.watched
            setattr(seam.owner, seam.name, watched(call, stage))
        yield
    finally:
        for seam, call in plain:
            setattr(seam.owner, seam.name, call)
