"""What latency does an approximate cache save, through the running daemon?

The same stream of digits (see `approximate_workloads`), of which no input comes twice, goes to two
applications by turns, one request after the other over one connection each. Behind both is a random
forest of 100 trees; the model of one has an approximate cache. `hits` is the share of the queries
that it answered from a near input; `other` is the share of all to which it gave another label than
the model itself gives.
"""

import argparse
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from approximate_workloads import Digits, Stream
from daemon import Daemon, clipperd
from http_answer import post, read_answer
from overload.systems import forest
from report import RESULTS, write_json
from table import markdown

from clipper.admin.client import ClipperConnection

STREAMS = {"noise 1%": 0.05, "noise 3%": 0.1, "noise 10%": 0.2, "all different": 0.2}
"""Radii in radians, as in the accuracy's table."""
TURN = 50
"""So many are asked of one application, then of the other."""
SLO_MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What a query got, and when."""

    label: float
    latency_s: float
    is_near: bool


class Client:
    """One connection to one application."""

    def __init__(self, port: int, app: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._path = f"/{app}/predict?explain=1"

    def ask(self, image: Sequence[float]) -> Reply:
        """One query."""
        request = post(self._path, json.dumps({"input": image}).encode())
        began, received = time.perf_counter(), b""
        self._socket.sendall(request)
        while (answer := read_answer(received)) is None:
            received += self._socket.recv(65_536)
        latency_s = time.perf_counter() - began
        body = json.loads(answer.body)
        if answer.status != 200 or body["default"]:
            raise SystemExit(f"No prediction: {answer.status} {body}")
        return Reply(body["output"], latency_s, body["cache"] == "approximate")


def main() -> None:
    """Measure each stream with a daemon of its own, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--quick", action="store_true", help="few queries of one stream")
    options = parser.parse_args()
    queries = 200 if options.quick else options.queries
    file = forest(RESULTS / "cache")
    rows = []
    for stream in Digits().streams(queries):
        if stream.name in (list(STREAMS)[:1] if options.quick else STREAMS):
            with clipperd() as daemon:
                deploy(daemon, file, STREAMS[stream.name])
                rows.append(compare(daemon, stream))
    print_table(rows)
    write_json("approximate_latency", {"queries": queries, "rows": rows})


def deploy(daemon: Daemon, file: Path, radius: float) -> None:
    """The forest twice, each behind an application of its own."""
    connection = ClipperConnection(daemon.admin, daemon.query)
    near = {"metric": "angular", "radius": radius, "budget": 0.5}
    for name, approximate_cache in (("without", None), ("with", near)):
        connection.register_application(name, "floats", "-1", SLO_MICROS)
        connection.deploy_model(name, 1, "floats", str(file), approximate_cache=approximate_cache)
        connection.link_model_to_app(name, name)


def compare(daemon: Daemon, stream: Stream) -> dict[str, Any]:
    """The figures of one stream."""
    port = int(daemon.query.rpartition(":")[2])
    clients = {name: Client(port, name) for name in ("without", "with")}
    replies: dict[str, list[Reply]] = {name: [] for name in clients}
    images = stream.images.tolist()
    for start in range(0, len(images), TURN):
        for name, client in clients.items():
            replies[name] += [client.ask(image) for image in images[start : start + TURN]]
    hits = [reply for reply in replies["with"] if reply.is_near]
    others = [
        mine.label != true.label
        for mine, true in zip(replies["with"], replies["without"], strict=True)
    ]
    return {
        "stream": stream.name,
        "radius": STREAMS[stream.name],
        "queries": len(images),
        "hits": len(hits) / len(images),
        "other": float(np.mean(others)),
        "hit_p50_ms": median(reply.latency_s for reply in hits) * 1e3 if hits else None,
        **{
            f"{name}_{key}_ms": float(figure([one.latency_s for one in all_])) * 1e3
            for name, all_ in replies.items()
            for key, figure in (("mean", np.mean), ("p50", np.median))
        },
    }


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """In milliseconds."""
    columns = ("stream", "radius", "hits", "other", "mean without", "mean with", "p50 of hits")
    cells = [
        (
            row["stream"],
            f"{row['radius']:g}",
            f"{row['hits']:.1%}",
            f"{row['other']:.2%}",
            f"{row['without_mean_ms']:.2f} ms",
            f"{row['with_mean_ms']:.2f} ms",
            "" if row["hit_p50_ms"] is None else f"{row['hit_p50_ms']:.2f} ms",
        )
        for row in rows
    ]
    print(markdown(columns, cells))


if __name__ == "__main__":
    main()
