"""Clipper as a contestant: a daemon with the process manager and one replica."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from daemon import clipperd
from open_loop import CLIPPER_MARKER
from peers.contest import Contestant, DidNotStart, Endpoint
from peers.payload import Payload, plain
from peers.running import check
from peers.work import Orders

from clipper.admin.client import ClipperConnection
from clipper.core.errors import ClipperError

NAME = "clipper"
SLEEPING = Path(__file__).parents[1] / "models" / "sleeping.py"
OUTCOMES = ("no_model", "late", "model_failed", "overloaded", "rejected")


def contestants(classifier: Path, model: str) -> list[Contestant]:
    """Ours; and for the noop model ours with its cache in use."""

    @contextlib.contextmanager
    def serve(model: str, slo_s: float) -> Iterator[Endpoint]:
        orders = Orders(model, classifier, 0, 0, 0.0, batched=True, apart=True)
        with contextlib.ExitStack() as stack:
            try:
                daemon = stack.enter_context(clipperd())
                deploy(ClipperConnection(daemon.admin, daemon.query), orders, slo_s)
            except (ClipperError, subprocess.SubprocessError, SystemExit) as error:
                raise DidNotStart(str(error)) from error
            endpoint = Endpoint(
                port=int(daemon.query.rpartition(":")[2]),
                payload=Payload("/app/predict", plain(model)),
                output=lambda answer: float(answer["output"]),
                marker=CLIPPER_MARKER,
                defaults=lambda: sum(
                    daemon.counter("clipper_queries_total", outcome=outcome) for outcome in OUTCOMES
                ),
            )
            check(endpoint, orders)
            yield endpoint

    ours = [Contestant(NAME, "", True, serve)]
    if model == "noop":
        ours.append(Contestant(f"{NAME}, cached", "", True, serve, repeats=True))
    return ours


def deploy(connection: ClipperConnection, orders: Orders, slo_s: float) -> None:
    """One model, linked to one application."""
    input_type = "doubles" if orders.model == "classifier" else "floats"
    framework, path = {
        "noop": ("noop", ""),
        "classifier": ("sklearn", str(orders.classifier)),
        "sleeping": ("python", f"{SLEEPING}:Sleeping"),
    }[orders.model]
    connection.register_application("app", input_type, "-1", int(slo_s * 1e6))
    connection.deploy_model("model", "1", input_type, path, framework=framework)
    connection.link_model_to_app("app", "model")
