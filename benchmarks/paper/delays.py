"""Figure 5: waiting for fuller batches, under a load that batches of one cannot carry.

Through the daemon over REST: an open loop (Poisson) at three times what the model does one by one;
the model takes a fixed time for each batch and little for each input, as the paper's SVM does.
"""

from pathlib import Path
from typing import Any

import numpy as np
from open_loop import Target, gamma
from open_loop import run as offer
from peers.closed_loop import runs
from served import served

from paper.figure import Figure, Line

MODEL = Path(__file__).parents[1] / "models" / "sleeping.py"
SLO_S = 0.1
ALONE_PER_S = 190.0
"""What the model does one by one: 5.05 ms and the way."""
WAITS_MS = (0.0, 1.0, 2.0, 4.0, 8.0)
PAPER = {0.0: 5_510, 1.0: 16_452, 2.0: 18_454, 3.0: 18_286, 4.0: 18_237}


def run(quick: bool) -> Figure:
    """Play it."""
    waits, seconds = ((0.0, 2.0), 1.0) if quick else (WAITS_MS, 8.0)
    rows = [measure(wait_ms, seconds) for wait_ms in waits]
    lines = [
        Line(
            f"wait {row['wait_ms']:g} ms",
            f"{PAPER[row['wait_ms']]:,}/s" if row["wait_ms"] in PAPER else "-",
            f"{row['answered_per_s']:,.0f}/s",
            f"batches of {row['mean_batch']:.1f}, p50 {row['p50_ms'] or 0:.1f} ms, "
            f"p99 {row['p99_ms'] or 0:.1f} ms",
        )
        for row in rows
    ]
    return Figure(
        "delays",
        "Figure 5: answers in time by how long a batch waits",
        lines,
        "The paper gains 3.3 times by 2 ms, since its batches begin as soon as one query is "
        "there. Ours form while the replica is busy, so that under load they are full without "
        "waiting, and a wait only adds to the latency; where it pays is in `make bench-delayed`.",
        {"rows": rows},
        lambda axes: draw(axes, rows),
    )


def measure(wait_ms: float, seconds: float) -> dict[str, Any]:
    """One wait."""
    deployment = {
        "path": f"{MODEL}:Sleeping",
        "framework": "python",
        "batching": {"wait_ms": wait_ms},
    }
    with served(SLO_S, deployment) as up:
        at_s = gamma(3 * ALONE_PER_S, seconds, 1.0, np.random.default_rng(1))
        requests = up.endpoint.payload.requests(len(at_s), next(runs))
        target = Target("127.0.0.1", up.endpoint.port, requests, up.endpoint.marker)
        before = up.counts()
        summary = offer([target], at_s).summary(SLO_S)
        counts = up.counts().since(before)
    return {
        "wait_ms": wait_ms,
        "answered_per_s": summary.offered_per_s * summary.goodput_share,
        "p50_ms": summary.p50_ms,
        "p99_ms": summary.p99_ms,
        "mean_batch": counts.sent / max(counts.batches, 1.0),
    }


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    """By the wait."""
    axes.plot([row["wait_ms"] for row in rows], [row["answered_per_s"] for row in rows], marker="o")
    axes.set_xlabel("wait, ms")
    axes.set_ylabel("answers in time a second")
    axes.set_ylim(bottom=0)
