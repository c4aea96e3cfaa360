"""Clipper as a contestant: a daemon with the process manager and one replica."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run it; the better one counts, as with the peers."""

    name: str
    flags: tuple[str, ...] = ()
    batching: Mapping[str, object] | None = None


ALONE = Setting("")
TWO = Setting("2 workers", ("--workers", "2"))
"""Two processes that answer queries: more a second where many ask, slower where one does."""
SETTINGS = {
    "noop": (ALONE, TWO),
    "classifier": (ALONE, TWO),
    # 5 ms a batch, however small: it pays to wait for those who ask again when they are answered.
    "sleeping": (ALONE, Setting("wait 1 ms", batching={"wait_ms": 1})),
}


def contestants(classifier: Path, model: str) -> list[Contestant]:
    """Ours, with each setting; and for the noop model with its cache in use."""

    def contestant(setting: Setting, name: str = NAME, repeats: bool = False) -> Contestant:
        serve = partial(serving, classifier, setting)
        return Contestant(name, setting.name, True, serve, repeats)

    cached = [contestant(ALONE, f"{NAME}, cached", repeats=True)] if model == "noop" else []
    return [*(contestant(setting) for setting in SETTINGS[model]), *cached]


@contextlib.contextmanager
def serving(classifier: Path, setting: Setting, model: str, slo_s: float) -> Iterator[Endpoint]:
    """A daemon that is ready to be measured.

    Raises:
        DidNotStart: with what it said.
    """
    orders = Orders(model, classifier, 0, 0, 0.0, 0.0, batched=True, apart=True)
    with contextlib.ExitStack() as stack:
        try:
            daemon = stack.enter_context(clipperd(*setting.flags))
            deploy(ClipperConnection(daemon.admin, daemon.query), orders, setting, slo_s)
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


def deploy(connection: ClipperConnection, orders: Orders, setting: Setting, slo_s: float) -> None:
    """One model, linked to one application."""
    input_type = "doubles" if orders.model == "classifier" else "floats"
    framework, path = {
        "noop": ("noop", ""),
        "classifier": ("sklearn", str(orders.classifier)),
        "sleeping": ("python", f"{SLEEPING}:Sleeping"),
    }[orders.model]
    connection.register_application("app", input_type, "-1", int(slo_s * 1e6))
    connection.deploy_model(
        "model", "1", input_type, path, framework=framework, batching=setting.batching
    )
    connection.link_model_to_app("app", "model")
