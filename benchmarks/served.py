"""One model behind one application of a daemon of its own, and what the daemon counted of it."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from daemon import CLIPPERD, Daemon, clipperd
from open_loop import CLIPPER_MARKER
from peers.contest import Endpoint
from peers.ours import OUTCOMES
from peers.payload import Payload, plain

from clipper.admin.client import ClipperConnection


class Counts(NamedTuple):
    """What the daemon counted of the model, from its start or from one instant to another."""

    asked: float
    """Queries that had to be computed."""
    sent: float
    """Queries in batches, those that were sent twice counted twice."""
    batches: float
    hedged: float

    def since(self, before: "Counts") -> "Counts":
        """What was added."""
        return Counts(*(now - then for now, then in zip(self, before, strict=True)))


@dataclass(frozen=True, slots=True)
class Served:
    """A model that answers."""

    daemon: Daemon
    clipper: ClipperConnection
    endpoint: Endpoint

    def counts(self) -> Counts:
        """So far."""
        names = ("cache_misses_total", "batch_size_sum", "batch_size_count", "hedged_total")
        return Counts(*(self.daemon.counter(f"clipper_model_{name}") for name in names))

    def replicas(self) -> list[dict[str, Any]]:
        """The state of each replica, by its index."""
        model = self.clipper.get_model_info("model", "1")
        assert model is not None
        states: list[dict[str, Any]] = model["replica_states"]
        return states


@contextlib.contextmanager
def served(
    slo_s: float, deployment: Mapping[str, Any], program: Sequence[str] = CLIPPERD
) -> Iterator[Served]:
    """Start a daemon, deploy a model of eight floats with these arguments, and end it."""
    with clipperd(program=program) as daemon:
        clipper = ClipperConnection(daemon.admin, daemon.query)
        clipper.register_application("app", "floats", "-1", int(slo_s * 1e6))
        clipper.deploy_model("model", "1", "floats", **deployment)
        clipper.link_model_to_app("app", "model")
        clipper.set_num_replicas("model", deployment.get("num_replicas", 1))
        yield Served(daemon, clipper, endpoint(daemon))


def endpoint(daemon: Daemon) -> Endpoint:
    """Where the application answers."""
    return Endpoint(
        port=int(daemon.query.rpartition(":")[2]),
        payload=Payload("/app/predict", plain("noop")),
        output=lambda answer: float(answer["output"]),
        marker=CLIPPER_MARKER,
        defaults=lambda: sum(
            daemon.counter("clipper_queries_total", outcome=outcome) for outcome in OUTCOMES
        ),
    )
