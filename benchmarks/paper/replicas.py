"""Figure 6: throughput by the number of replicas, with a model that sleeps instead of a GPU.

Through the daemon over REST: 40 ms a batch of 16 at most, asked by wrk over so many connections
that every replica always has a full batch. On the paper's cluster each replica has a GPU; here they
share two cores with everything else and only wait, so that it is the daemon that is measured.
"""

import statistics
from pathlib import Path
from typing import Any

from daemon import Daemon, clipperd
from hot_path import wrk_daemon

from clipper.admin.client import ClipperConnection
from paper.figure import Figure, Line

RESTING = Path(__file__).parents[1] / "models" / "resting.py"
COUNTS = (1, 2, 4, 8)
BATCH = 16
PAPER = {1: 19_477, 2: 38_538, 3: 57_631, 4: 77_122}


def run(quick: bool) -> Figure:
    """Play it."""
    counts, seconds, rounds = ((1, 2), 1, 1) if quick else (COUNTS, 4, 3)
    rates = {}
    with clipperd("--store", "memory://") as daemon:
        connection = ClipperConnection(daemon.admin, daemon.query)
        connection.register_application("app", "floats", "-1", 5_000_000)
        connection.deploy_model(
            "resting", "1", "floats", f"{RESTING}:Resting", framework="python", batch_size=BATCH
        )
        connection.link_model_to_app("app", "resting")
        for count in counts:
            connection.set_num_replicas("resting", count)
            rates[count] = statistics.median(rate(daemon, count, seconds) for _ in range(rounds))
    lines = [
        Line(
            f"{count} replicas",
            f"{PAPER[count] / PAPER[1]:.2f} times" if count in PAPER else "-",
            f"{rates[count] / rates[counts[0]]:.2f} times",
            f"{rates[count]:,.0f} answers a second",
        )
        for count in counts
    ]
    return Figure(
        "replicas",
        "Figure 6: throughput by replicas (a sleeping model)",
        lines,
        "The paper scales 3.95 times with four GPUs on a 10 Gb network, and not beyond two on 1 "
        "Gb; there is no network here, and no GPU either.",
        {"rates": rates},
        lambda axes: draw(axes, rates),
    )


def rate(daemon: Daemon, count: int, seconds: int) -> float:
    """Answers a second with full batches for all."""
    arguments = ("/app/predict", "0")
    return wrk_daemon(daemon, "partly", 3 * BATCH * count, seconds, *arguments)["requests_per_s"]


def draw(axes: Any, rates: dict[int, float]) -> None:
    """By replicas."""
    axes.plot(list(rates), list(rates.values()), marker="o")
    axes.set_xlabel("replicas")
    axes.set_ylabel("answers a second")
    axes.set_ylim(bottom=0)
