"""How large are the batches that AIMD finds for a network on a GPU, and what would be the best?

A residual network is asked about images, which come as frames of their bytes, each unlike all
others. First the sizes of batches are fixed, in closed loops of twice as many connections, so that
one batch waits while another is computed: the curve of answers a second over the latency of a
batch. Then AIMD finds the size by itself, for objectives of 20, 50 and 100 ms, asked by as many
connections as the largest of those sizes. The best that it could find is the size with the most
answers a second of which one batch in a hundred at most takes longer than the objective.

With CUDA the network has the size of ResNet-50, and images have 224 x 224 pixels; without, it is a
small one, so that this runs anywhere. Latencies of batches are the daemon's own: from when a batch
is formed until its outputs are there.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from gpu_plot import plot
from gpu_subject import PATIENT_S, Asked, Network, asked
from report import write_json
from table import markdown

Row = dict[str, Any]
SAMPLE_S = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    network: Network
    sizes: tuple[int, ...]
    objectives_ms: tuple[float, ...]
    seconds: int
    """Of each measurement; AIMD has as long before, to find its place."""


LARGE = Network(side=224, width=64, blocks=(3, 4, 6, 3))
SMALL = Network(side=64, width=8, blocks=(1, 1, 1, 1))
OBJECTIVES_MS = (20.0, 50.0, 100.0)
CUDA = Plan(LARGE, (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256), OBJECTIVES_MS, 5)
CPU = Plan(SMALL, (1, 2, 4, 8, 16, 32, 64, 96, 128), OBJECTIVES_MS, 4)
QUICK = Plan(SMALL, (4,), (20.0,), 1)


def main() -> None:
    """Measure, print tables, write JSON and a picture."""
    parser = argparse.ArgumentParser(prog="make bench-gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small network, one size, a second")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    has_cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if has_cuda else "CPU"
    plan = QUICK if options.quick else CUDA if has_cuda else CPU
    with tempfile.TemporaryDirectory(prefix="clipper-bench-") as folder:
        curve = [with_size(plan, Path(folder), size) for size in plan.sizes]
        found = [with_aimd(plan, Path(folder), ms, curve) for ms in plan.objectives_ms]
    print(markdown(tuple(CURVE), [[f"{row[key]:,.4g}" for key in CURVE.values()] for row in curve]))
    print(markdown(tuple(FOUND), [[shown(row[key]) for key in FOUND.values()] for row in found]))
    about = {"device": device, "torch": torch.__version__, "plan": asdict(plan)}
    write_json("gpu", {**about, "curve": curve, "found": found})
    plot(device, curve, found)


def with_size(plan: Plan, folder: Path, size: int) -> Row:
    """A point of the curve."""
    print(f"batches of {size}", file=sys.stderr, flush=True)
    with asked(plan.network, folder, PATIENT_S, {"batch_size": size}) as one:
        one.ask(2 * size, 1)
        figures = one.ask(2 * size, plan.seconds)
        batch_ms, p99_ms = one.batch_ms(size)
        return {"size": size, **figures, "batch_ms": batch_ms, "batch_p99_ms": p99_ms}


def with_aimd(plan: Plan, folder: Path, objective_ms: float, curve: list[Row]) -> Row:
    """Where AIMD settles for an objective, beside the best of the curve."""
    print(f"AIMD for {objective_ms:g} ms", file=sys.stderr, flush=True)
    connections = 2 * plan.sizes[-1]
    with asked(plan.network, folder, objective_ms / 1e3, {}) as one:
        _, limits = measured(one, connections, plan.seconds)
        figures, later = measured(one, connections, plan.seconds)
        _, p99_ms = one.batch_ms(figures["mean_batch"])
    best = best_of(curve, objective_ms)
    row: Row = {"objective_ms": objective_ms, "connections": connections, **figures}
    row |= {"limits": limits + later, "settled": statistics.median(later)}
    row |= {"batch_p99_ms": p99_ms, "best": best and best["size"]}
    row["share_of_best"] = best and figures["requests_per_s"] / best["requests_per_s"]
    return row


def measured(one: Asked, connections: int, seconds: int) -> tuple[dict[str, float], list[int]]:
    """A closed loop's figures, and the limit as it was now and then meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(one.ask, connections, seconds)
        limits = []
        while not asking.done():
            limits.append(one.limit())
            time.sleep(SAMPLE_S)
        return asking.result(), limits


def best_of(curve: list[Row], objective_ms: float) -> Row | None:
    """The point with the most answers of those within the objective."""
    within = [row for row in curve if row["batch_p99_ms"] <= objective_ms]
    return max(within, key=lambda row: float(row["requests_per_s"]), default=None)


def shown(figure: float | None) -> str:
    """A figure in a cell."""
    return "none" if figure is None else f"{figure:,.3g}"


CURVE = {
    "batch": "size",
    "images/s": "requests_per_s",
    "a batch, ms": "batch_ms",
    "p99 of a batch, ms": "batch_p99_ms",
}
FOUND = {
    "objective, ms": "objective_ms",
    "AIMD's limit": "settled",
    "mean batch": "mean_batch",
    "images/s": "requests_per_s",
    "p99 of a batch, ms": "batch_p99_ms",
    "default answers": "defaults",
    "best size": "best",
    "share of its images/s": "share_of_best",
}


if __name__ == "__main__":
    main()
