"""What does an input cost as JSON, and what as a frame, through the running daemon?

A vector of 784 float32 and an image of 224x224x3 are sent to a noop model (their sum) either way,
in turn, by wrk over keep-alive connections; the figures are medians over the rounds. One number of
each request is its own, so that the cache misses. Default answers and refusals are counted,
over all rounds, and are no part of the throughput.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from daemon import Daemon, clipperd
from hot_path import over_rounds, wrk_daemon
from report import write_json

from clipper.admin.client import ClipperConnection
from clipper.admin.frames import frame_of

CONNECTIONS = (1, 32)
QUICK_CONNECTIONS = (4,)
"""With 32, a slow machine answers no image as JSON within a second."""
SHAPES = {"784 floats": (784,), "image 224x224x3": (224, 224, 3)}
JSON, FRAME = "application/json", "application/octet-stream"
SLO_S = 30
"""An image as JSON holds up everything else for a while, at 32 connections for most of a second."""


class Body(NamedTuple):
    """A request's body in a file, and where in it a number may be changed."""

    input: str
    form: str
    file: Path
    place: int

    @property
    def size_bytes(self) -> int:
        """Of the body."""
        return self.file.stat().st_size


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="make bench-binary", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="4 connections, one round of a second")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="clipper-bench-") as folder, clipperd() as daemon:
        bodies = write_bodies(Path(folder))
        deploy(daemon)
        connections = QUICK_CONNECTIONS if options.quick else CONNECTIONS
        rows = measure(daemon, bodies, connections, options)
    print_table(rows)
    write_json("binary", {"rounds": options.rounds, "seconds": options.seconds, "rows": rows})


def write_bodies(folder: Path) -> list[Body]:
    """Each input in both forms."""
    bodies: list[Body] = []
    for name, shape in SHAPES.items():
        numbers = np.random.default_rng(1).random(shape, dtype=np.float32)
        frame = frame_of(numbers)
        assert frame is not None
        numbers[(0,) * len(shape)] = PLACE_HOLDER
        text = json.dumps({"input": numbers.tolist()})
        for form, body, place in (
            (JSON, text.encode(), text.index(f"{PLACE_HOLDER}.0")),
            (FRAME, frame, len(frame) - numbers.nbytes),
        ):
            file = folder / f"{len(bodies)}"
            file.write_bytes(body)
            bodies.append(Body(name, form, file, place))
    return bodies


PLACE_HOLDER = 10_000_000
"""As JSON it takes the eight digits that the load's script writes over."""


def deploy(daemon: Daemon) -> None:
    """A noop model, linked to an application that takes floats."""
    connection = ClipperConnection(daemon.admin, daemon.query)
    connection.register_application("sum", "floats", "-1.0", SLO_S * 1_000_000)
    connection.deploy_model("noop", "1", "floats", "", framework="noop")
    connection.link_model_to_app("sum", "noop")


def measure(
    daemon: Daemon, bodies: Sequence[Body], steps: Sequence[int], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One row for each body and number of connections: medians over the rounds."""
    rows = []
    for connections in steps:
        runs: dict[Body, list[dict[str, float]]] = {body: [] for body in bodies}
        for _ in range(options.rounds):
            for body in bodies:
                runs[body].append(ask(daemon, body, connections, options.seconds))
        for body, results in runs.items():
            what = {"input": body.input, "form": body.form, "bytes": body.size_bytes}
            rows.append({**what, "connections": connections, **over_rounds(results)})
    return rows


def ask(daemon: Daemon, body: Body, connections: int, seconds: int) -> dict[str, float]:
    """One measurement."""
    arguments = (str(body.file), body.form, str(body.place), "/sum/predict")
    return wrk_daemon(daemon, "body", connections, seconds, *arguments)


def print_table(rows: list[dict[str, Any]]) -> None:
    """The figures, and how many times as many frames as JSON bodies were answered."""
    print(
        f"{'input':16}{'conns':>6}{'form':>7}{'kB':>7}{'req/s':>8}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'default':>9}{'error':>7}{'factor':>8}"
    )
    rates = {(row["input"], row["connections"], row["form"]): row["requests_per_s"] for row in rows}
    for row in rows:
        as_json = rates[row["input"], row["connections"], JSON]
        factor = f"{row['requests_per_s'] / as_json:.1f}" if as_json else "-"
        form = "JSON" if row["form"] == JSON else "frame"
        print(
            f"{row['input']:16}{row['connections']:6}{form:>7}{row['bytes'] / 1e3:7.0f}"
            f"{row['requests_per_s']:8.0f}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}"
            f"{row['defaults']:9.0f}{row['errors']:7.0f}{factor:>8}"
        )


if __name__ == "__main__":
    main()
