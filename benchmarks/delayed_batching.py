"""When does it pay to have a batch that is not full wait for more queries?

Three models: `forest` (scikit-learn, ten trees: nearly all of its cost is for the batch),
`sleeping` (5 ms a batch and 50 us a query, as an accelerator's), and `noop` (costs nothing). Each
is asked with several waits (`wait_ms` of `batching`): by so many connections that ask again as soon
as they are answered; and in bursts, at a rate that it bears without a wait. `in time` is what the
model answered within 20 ms. `CPU` is processor time of the daemon and of the model for each query.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from delayed_plot import plot
from open_loop import Target, gamma, run
from peers.closed_loop import closed_loop, runs
from report import write_json
from served import Served, served
from sklearn.ensemble import RandomForestClassifier
from table import markdown

WAITS_MS = (0, 1, 2, 4)
SLO_S = 0.02
CONNECTIONS = (16, 64)
BURSTINESS = 3.0
"""Coefficient of variation of the gaps between queries; those of a Poisson process have 1."""
SEED = 7
SLEEPING = Path(__file__).parent / "models" / "sleeping.py"


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, and the rate at which it is asked in bursts."""

    name: str
    deployment: dict[str, Any]
    rate: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long things are measured, in seconds."""

    closed: int = 2
    bursts: float = 5.0


def main() -> None:
    """Measure, print a table, write JSON and a picture."""
    parser = argparse.ArgumentParser(prog="make bench-delayed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one model, two waits, a second each")
    quick = parser.parse_args().quick
    waits_ms, lengths = ((0, 2), Lengths(1, 1.0)) if quick else (WAITS_MS, Lengths())
    with tempfile.TemporaryDirectory(prefix="clipper-bench-") as folder:
        rows = [
            measure(subject, wait_ms, lengths)
            for subject in subjects(Path(folder))
            if subject.name == "noop" or not quick
            for wait_ms in waits_ms
        ]
    print(markdown(("model", "wait ms", *COLUMNS), [cells(row) for row in rows]))
    settings = {"slo_ms": SLO_S * 1e3, "burstiness": BURSTINESS, "quick": quick}
    write_json("delayed_batching", {**settings, "rows": rows})
    plot(rows)


def subjects(folder: Path) -> list[Subject]:
    """The models; one of them is trained."""
    rng = np.random.default_rng(SEED)
    inputs = rng.random((2000, 8))
    forest = RandomForestClassifier(10, max_depth=8, random_state=SEED, n_jobs=1)
    file = folder / "forest.joblib"
    joblib.dump(forest.fit(inputs, inputs.sum(axis=1).astype(int)), file)
    sleeping = {"path": f"{SLEEPING}:Sleeping", "framework": "python"}
    return [
        Subject("forest", {"path": str(file), "framework": "sklearn"}, 2000.0),
        Subject("noop", {"path": "", "framework": "noop"}, 2000.0),
        Subject("sleeping", sleeping, 2000.0),
    ]


def measure(subject: Subject, wait_ms: float, lengths: Lengths) -> dict[str, Any]:
    """A row: one model with one wait, asked both ways."""
    print(f"measuring {subject.name}, {wait_ms} ms", file=sys.stderr, flush=True)
    deployment = {**subject.deployment, "batching": {"wait_ms": wait_ms}}
    with served(SLO_S, deployment) as up:
        closed_loop(up.endpoint, CONNECTIONS[-1], 1)  # until the batch size limit is found
        closed = [measure_closed(up, number, lengths) for number in CONNECTIONS]
        bursts = measure_bursts(up, subject.rate, lengths)
    return {"model": subject.name, "wait_ms": wait_ms, "closed": closed, "bursts": bursts}


def measure_closed(up: Served, connections: int, lengths: Lengths) -> dict[str, float]:
    """A closed loop: answers a second."""
    meter = Meter(up)
    figures = closed_loop(up.endpoint, connections, lengths.closed)
    return {"connections": connections, **figures, **meter.read()}


def measure_bursts(up: Served, rate: float, lengths: Lengths) -> dict[str, float | None]:
    """An open loop: latencies, and what came in time."""
    at_s = gamma(rate, lengths.bursts, BURSTINESS, np.random.default_rng(SEED))
    requests = up.endpoint.payload.requests(len(at_s), next(runs))
    target = Target("127.0.0.1", up.endpoint.port, requests, up.endpoint.marker)
    meter = Meter(up)
    summary = run([target], at_s).summary(SLO_S)
    return {
        "offered": summary.offered,
        "offered_per_s": summary.offered_per_s,
        "p50_ms": summary.p50_ms,
        "p99_ms": summary.p99_ms,
        "in_time_share": summary.goodput_share,
        "is_reliable": summary.is_reliable,
        **meter.read(),
    }


class Meter:
    """Batches and processor time from when it was made."""

    def __init__(self, up: Served) -> None:
        self._up = up
        self._counts, self._cpu_s = up.counts(), cpu_s(up)

    def read(self) -> dict[str, float]:
        """Queries in a batch, and processor time for each query."""
        used_s = cpu_s(self._up) - self._cpu_s
        counts = self._up.counts().since(self._counts)
        queries = max(counts.sent, 1.0)
        return {
            "mean_batch": queries / max(counts.batches, 1.0),
            "cpu_us": used_s / queries * 1e6,
        }


def cpu_s(up: Served) -> float:
    """Processor time of the daemon and of the model so far."""
    replica = int(up.replicas()[0]["identity"].split()[1])
    ticks = 0
    for process in (up.daemon.process.pid, replica):
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
        user, system = stat.rpartition(")")[2].split()[11:13]
        ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


COLUMNS = (
    *(f"{number} connections: answers/s (batch)" for number in CONNECTIONS),
    *("bursts: p50 ms", "p99 ms", "in time", "batch", "CPU us"),
)


def cells(row: dict[str, Any]) -> list[str]:
    """A line of the table."""
    bursts = row["bursts"]
    return [
        row["model"] + ("" if bursts["is_reliable"] else " (the generator was late)"),
        f"{row['wait_ms']:g}",
        *(f"{one['requests_per_s']:,.0f} ({one['mean_batch']:.1f})" for one in row["closed"]),
        f"{bursts['p50_ms']:.1f}",
        f"{bursts['p99_ms']:.1f}",
        f"{bursts['in_time_share']:.2%}",
        f"{bursts['mean_batch']:.1f}",
        f"{bursts['cpu_us']:.0f}",
    ]


if __name__ == "__main__":
    main()
